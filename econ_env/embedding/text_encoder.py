"""A cache and a worker in front of an embedder, shared by all environments of a process."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import weakref
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from econ_env.config import Device
from econ_env.embedding.hashed import HashEmbedder
from econ_env.embedding.make import make_embedder
from econ_env.embedding.protocol import Embedder, Embeddings
from econ_env.errors import EmbeddingError

CACHE_TEXTS = 20_000

_living: weakref.WeakSet[TextEncoder] = weakref.WeakSet()


Waiters = list[tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]]


class TextEncoder:
    """An embedder with a cache and one worker thread; problems on one event loop share batches.

    Texts that arrive while the worker is busy are encoded together in the next batch, and a text only once, whoever
    waits for it. One instance serves one process; a forked child keeps the cache and starts its own worker.
    """

    def __init__(self, embedder: Embedder) -> None:
        self.embedder = embedder
        self._cache: OrderedDict[str, Embeddings] = OrderedDict()
        self._start()
        _living.add(self)

    def _start(self) -> None:
        self._lock = threading.Lock()
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="econ-embed")
        self._waiting: dict[str, Waiters] = {}
        self._computed: dict[str, Waiters] = {}  # what the worker computes now

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
                    queue = self._computed if text in self._computed else self._waiting
                    queue.setdefault(text, []).append((loop, future))
                    waits.append(future)
        if waits:
            if type(self.embedder) is HashEmbedder:  # takes less time than the way to a thread and back
                self._drain()
            else:
                self._worker.submit(self._drain)
            await asyncio.gather(*waits)
        return self.encode(texts)

    def ahead(self, text: str) -> None:
        """Begin to encode a text that will be needed soon; an error is raised when it is needed."""
        if type(self.embedder) is HashEmbedder:
            return
        with self._lock:
            if text in self._cache or text in self._computed or text in self._waiting:
                return
            self._waiting[text] = []
        self._worker.submit(self._drain)

    def _drain(self) -> None:
        with self._lock:
            waiting, self._waiting = self._waiting, {}
            if not waiting:
                return
            self._computed = waiting
        error: BaseException | None = None
        try:
            texts = list(waiting)
            self._remember(dict(zip(texts, self._encode_new(texts), strict=True)))
        except BaseException as caught:  # handed to every waiting coroutine, which raises it
            error = caught
        with self._lock:
            self._computed = {}
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


_encoders: dict[tuple[str, Device], TextEncoder] = {}
_encoders_lock = threading.Lock()


def _after_fork() -> None:
    """Renew locks and workers: the parent's threads do not exist here, so a lock they held would stay locked."""
    global _encoders_lock
    _encoders_lock = threading.Lock()
    for encoder in _living:
        encoder._start()


os.register_at_fork(after_in_child=_after_fork)


def shared_encoder(spec: str | Embedder, device: Device = "auto") -> TextEncoder:
    """The process's encoder for a setting; equal names share one model, an embedder object gets its own."""
    if not isinstance(spec, str):
        return TextEncoder(spec)
    with _encoders_lock:
        if (spec, device) not in _encoders:
            _encoders[spec, device] = TextEncoder(make_embedder(spec, device))
        return _encoders[spec, device]
