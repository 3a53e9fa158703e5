"""Starts and stops the embedded engine: a GGUF model served by xllamacpp in this process, on the loopback address.

A process runs one engine per model file and settings; all clients share it. It stops when the last client releases it,
or at exit, after the clients have closed. In a forked child whose parent ran an engine, engines run until the child
ends: stopping one waits for a thread that all engines of a process share, and only the parent has that thread. Children
of `multiprocessing` end without stopping anything; a child made by `os.fork` must end with `os._exit` for this reason.
"""

from __future__ import annotations

import ctypes
import gc
import os
import threading
from dataclasses import dataclass
from typing import Any

from econ_env.config import Device
from econ_env.errors import ConfigError, LLMUnavailableError

_SILENT = -1
_ALL_LAYERS = 999
_NAMES = {"cuda": ("CUDA", "ROCm"), "mps": ("MTL", "Metal")}
"""Starts of the engine's names for a device's accelerators; numbers follow."""


@dataclass(frozen=True)
class EngineSettings:
    """Settings that an engine is started with."""

    path: str
    """The GGUF file."""
    slots: int
    """Requests it works on at once."""
    context: int
    """Tokens of context for each of them."""
    threads: int
    """Number of compute threads."""
    gpu: str | None = None
    """The engine's name of the accelerator; `None` for the processor."""


@dataclass
class _Engine:
    native: Any
    url: str
    users: int = 0


_lock = threading.Lock()
_engines: dict[EngineSettings, _Engine] = {}
_ran_one = False
_immortal = False


def _after_fork() -> None:
    """Forget the parent's engines without destroying them; this process never destroys an engine."""
    global _lock, _engines, _immortal
    _lock = threading.Lock()
    for engine in _engines.values():
        _keep_for_ever(engine)
    _engines = {}
    _immortal = _ran_one


def _keep_for_ever(engine: _Engine) -> None:
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(engine.native))


os.register_at_fork(after_in_child=_after_fork)


def acquire_engine(settings: EngineSettings) -> str:
    """Start the engine if needed and count one more user; blocks for about a second, so keep it off event loops.

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
    """Count one user less; the last one stops the engine."""
    with _lock:
        engine = _engines.get(settings)
        if engine is None:
            return
        engine.users -= 1
        if engine.users == 0 and not _immortal:
            del _engines[settings]
            del engine
            gc.collect()


def find_gpu(device: Device) -> str | None:
    """The engine's name of the accelerator that a setting means; `None` for the processor.

    Raises:
        ConfigError: The device was asked for by name, and the engine finds none.
        LLMUnavailableError: The same, and the engine is not installed.
    """
    if device == "cpu":
        return None
    try:
        infos = _load().get_device_info()
    except LLMUnavailableError:
        if device == "auto":
            return None  # starting the engine will say what to install
        raise
    gpus = [str(info["name"]) for info in infos if info["type"].name.endswith("GPU")]
    wanted = gpus if device == "auto" else [name for name in gpus if name.startswith(_NAMES[device])]
    if not wanted and device != "auto":
        raise ConfigError(
            f"there is no device {device} for the embedded engine: this build of xllamacpp finds none; "
            "use --device auto or cpu, or install a build for it"
        )
    return next(iter(wanted), None)


def _load() -> Any:
    # Waiting threads must sleep, not spin: if other programs need the cores too, spinning makes the engine a hundred
    # times slower. Only OpenMP libraries loaded after this line read the variable.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    try:
        import xllamacpp
    except ImportError as error:
        raise LLMUnavailableError(
            f"the embedded engine can't be loaded ({error}); install it with: pip install xllamacpp"
        ) from error
    return xllamacpp


def _start(settings: EngineSettings) -> _Engine:
    global _ran_one
    xllamacpp = _load()
    params = xllamacpp.CommonParams()
    params.model.path = settings.path
    params.n_parallel = settings.slots
    params.n_ctx = settings.context * settings.slots
    params.cpuparams.n_threads = settings.threads
    params.cpuparams_batch.n_threads = settings.threads
    params.n_gpu_layers = 0 if settings.gpu is None else _ALL_LAYERS
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
    engine = _Engine(native, f"{native.listening_address}/v1")
    _ran_one = True
    if _immortal:
        _keep_for_ever(engine)
    return engine
