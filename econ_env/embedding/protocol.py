"""Says what an embedder is: an object that turns texts into unit vectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Embeddings = NDArray[np.float32]


@runtime_checkable
class Embedder(Protocol):
    """Turns texts into unit vectors; any object with these attributes can be passed as `embedder=`.

    It must be picklable, and the vector of a text must not depend on the other texts of the call;
    `econ_env.testing.check_embedder` tests all of this.
    """

    @property
    def name(self) -> str:
        """The name that is written into results."""
        ...

    @property
    def dim(self) -> int:
        """Length d of a row; reading it may load the model."""
        ...

    def encode(self, texts: Sequence[str]) -> Embeddings:
        """Rows of shape [n, d], float32, each of length 1 (within 1e-3).

        Raises:
            EmbeddingError: The model can't be loaded, or returned something that is not an embedding.
        """
        ...
