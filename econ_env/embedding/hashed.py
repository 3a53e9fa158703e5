"""The hash embedder: no model, for tests and benchmarks."""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Sequence

import numpy as np

from econ_env.embedding.protocol import Embeddings


class HashEmbedder:
    """Hashes words and word pairs into signed buckets: deterministic, fast, no model. For tests and benchmarks.

    Texts that share words get similar vectors; rewards and observations need no more than that.
    """

    def __init__(self, dim: int = 64) -> None:
        self.dim = dim
        self.name = f"hash-{dim}"

    def encode(self, texts: Sequence[str]) -> Embeddings:
        """Rows of shape [n, dim]; a text without words gives the first basis vector."""
        rows = np.zeros((len(texts), self.dim), dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            words = re.findall(r"\w+", text.lower())
            for word in [*words, *map(" ".join, itertools.pairwise(words))]:
                code = int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8).digest(), "big")
                row[code % self.dim] += 1.0 if code >> 63 else -1.0
            if not row.any():
                row[0] = 1.0
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        return rows
