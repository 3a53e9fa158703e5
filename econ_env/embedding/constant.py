"""The embedder that tells nothing, for teams whose texts are not on record."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from econ_env.embedding.protocol import Embeddings


class NoEmbedder:
    """Gives every text the same vector, of one number: observations then show no text, and AL is always 1."""

    name = "none"
    dim = 1

    def encode(self, texts: Sequence[str]) -> Embeddings:
        """Ones of shape [n, 1]."""
        return np.ones((len(texts), self.dim), dtype=np.float32)
