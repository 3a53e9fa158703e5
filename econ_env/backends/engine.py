"""The embedded engine: a GGUF model served by xllamacpp inside this process, on the loopback address.

One engine per model file and settings runs in a process, however many clients use it. It is stopped when the last of
them leaves, or at exit, after the clients have hung up.
"""

from __future__ import annotations

import ctypes
import gc
import os
import threading
from dataclasses import dataclass
from typing import Any

from econ_env.errors import LLMUnavailableError

_SILENT = -1


@dataclass(frozen=True)
class EngineSettings:
    """What an engine is started with."""

    path: str
    """The GGUF file."""
    slots: int
    """Requests it works on at once."""
    context: int
    """Tokens of context for each of them."""
    threads: int
    """Threads that compute."""


@dataclass
class _Engine:
    native: Any
    url: str
    users: int = 0


_lock = threading.Lock()
_engines: dict[EngineSettings, _Engine] = {}
_inherited: list[dict[EngineSettings, _Engine]] = []


def _after_fork() -> None:
    """Keep the parent's engines from being destroyed here: that would wait for threads that only the parent has."""
    global _lock, _engines
    _lock = threading.Lock()
    for engine in _engines.values():
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(engine.native))
    _inherited.append(_engines)
    _engines = {}


os.register_at_fork(after_in_child=_after_fork)


def acquire_engine(settings: EngineSettings) -> str:
    """Start the engine unless it runs, and note one more user. Takes a second or so: not for an event loop.

    Returns:
        Its base URL, `http://127.0.0.1:PORT/v1`.

    Raises:
        LLMUnavailableError: The engine is not installed, or can't load the file.
    """
    with _lock:
        engine = _engines.get(settings)
        if engine is None:
            engine = _engines[settings] = _start(settings)
        engine.users += 1
        return engine.url


def release_engine(settings: EngineSettings) -> None:
    """Note that a user has left; the last one stops the engine."""
    with _lock:
        engine = _engines.get(settings)
        if engine is None:
            return
        engine.users -= 1
        if engine.users == 0:
            del _engines[settings]
            del engine
            gc.collect()


def _start(settings: EngineSettings) -> _Engine:
    # Threads that wait for one another must sleep, not spin: where other work wants the cores too, spinning makes
    # the engine slower by a factor of a hundred. Only OpenMP libraries loaded from here on heed it.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    try:
        import xllamacpp
    except ImportError as error:
        raise LLMUnavailableError(
            f"the embedded engine can't be loaded ({error}); install it with: pip install xllamacpp"
        ) from error
    params = xllamacpp.CommonParams()
    params.model.path = settings.path
    params.n_parallel = settings.slots
    params.n_ctx = settings.context * settings.slots
    params.cpuparams.n_threads = settings.threads
    params.cpuparams_batch.n_threads = settings.threads
    params.n_gpu_layers = 0
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.sampling.top_k = 0  # temperature and top_p alone shape the distribution
    params.sampling.min_p = 0.0
    params.cache_ram_mib = 0
    params.fit_params = False
    params.ui = False
    params.verbosity = _SILENT
    try:
        native = xllamacpp.Server(params)
    except RuntimeError as error:
        raise LLMUnavailableError(f"{settings.path} can't be loaded as a GGUF model: {error}") from error
    return _Engine(native, f"{native.listening_address}/v1")
