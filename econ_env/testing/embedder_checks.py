"""Checks that an object is an embedder in the sense of `econ_env.embedding.Embedder`.

>>> from econ_env.testing import check_embedder
>>> check_embedder(MyEmbedder())
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from econ_env.embedding import Embedder, Embeddings
from econ_env.testing.violations import Violations

TEXTS = (
    "A shelf holds 9 books. Mia takes 4 of them.",
    "9 - 4 = 5. The answer is 5.",
    '{"reasoning": "9 + 4", "answer": "13"}',
    "Subtract the books she takes.",
    "x",
    "多少?",
    "🙂\n\t",
    "word " * 3_000,
)
"""Texts that are encoded by default, all different."""


def check_embedder(embedder: Embedder, *, texts: Sequence[str] = TEXTS, tolerance: float = 1e-3) -> None:
    """Check an embedder the way the environment uses it.

    Args:
        embedder: The embedder to check.
        texts: At least two texts, all different.
        tolerance: Largest difference allowed between numbers that should be equal; many models round differently in
            other batches. With 0, runs with this embedder repeat to the bit.

    Raises:
        CheckError: All errors found, one per line.
    """
    with Violations() as found:
        found.require(isinstance(embedder.name, str) and bool(embedder.name.strip()), "name must be text")
        dim = embedder.dim
        found.require(isinstance(dim, int) and dim >= 1, f"dim must be a whole number of at least 1, got {dim!r}")
        rows: Embeddings | None = None
        with found.guarding("encode"):
            rows = embedder.encode(list(texts))
            rows = rows if _check_rows(found, rows, (len(texts), dim)) else None
        if rows is None:
            return

        def differs(other: Embeddings, expected: Embeddings) -> bool:
            return other.shape != expected.shape or not np.allclose(other, expected, rtol=0, atol=tolerance)

        with found.guarding("encode, of one text at a time,"):
            alone = np.concatenate([embedder.encode([text]) for text in texts])
            found.require(not differs(alone, rows), "a row must not depend on the other texts of the call")
        with found.guarding("encode, once more,"):
            found.require(not differs(embedder.encode(list(texts)), rows), "the same texts must give the same rows")
            backwards = embedder.encode(list(texts)[::-1])
            found.require(not differs(backwards[::-1], rows), "rows must come in the order of the texts")
            twice = embedder.encode([texts[0]] * 3)
            found.require(not differs(twice, np.repeat(rows[:1], 3, axis=0)), "a repeated text needs a row each time")
        with found.guarding("encode, in another thread,"), ThreadPoolExecutor(1) as thread:
            other = thread.submit(embedder.encode, list(texts)).result()
            found.require(not differs(other, rows), "rows must be the same in another thread")
        spread = np.abs(rows - rows[:1]).max()
        found.require(bool(spread > max(tolerance, 1e-3)), "different texts must not all have the same row")
        found.require_copies(
            embedder, lambda one: not differs(one.encode(list(texts)), rows) and one.name == embedder.name, "rows"
        )


def _check_rows(found: Violations, rows: Embeddings, shape: tuple[int, int]) -> bool:
    if not found.require(isinstance(rows, np.ndarray), f"encode must return an array, got {type(rows).__name__}"):
        return False
    found.require(rows.dtype == np.float32, f"rows must be float32, got {rows.dtype}")
    if not found.require(rows.shape == shape, f"encode must return rows [n, dim] = {shape}, got {rows.shape}"):
        return False
    lengths = np.linalg.norm(rows, axis=1)
    ok = bool(np.isfinite(rows).all()) and bool(np.allclose(lengths, 1.0, atol=1e-3))
    return found.require(
        ok, f"every row must have length 1 within 1e-3, got {lengths.min():.4g} to {lengths.max():.4g}"
    )
