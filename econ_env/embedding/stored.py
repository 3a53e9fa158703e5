"""Reads how wide a sentence-transformers model's rows are from its files, since loading the model takes seconds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

_POOLING = "1_Pooling"
_LAYERS = (("", "Transformer"), (_POOLING, "Pooling"))
_NEEDED = ("model.safetensors", "config.json")
"""Without them the model can't be loaded, which should be known before a run begins."""


def stored_dim(model: str) -> int | None:
    """Length of a row of a model in a folder; None if only the loaded model knows it.

    Known are a transformer whose tokens are pooled in one way, with its weights beside it: most models are stored so.

    Args:
        model: A path, or a name on the hub, for which None is returned.
    """
    folder = Path(model)
    if not all((folder / name).is_file() for name in _NEEDED):
        return None
    try:
        modules = _read(folder / "modules.json")
        layers = [(part["path"], part["type"].rpartition(".")[2]) for part in modules]
        pooling = _read(folder / _POOLING / "config.json")
        whole = _read(folder / "config_sentence_transformers.json").get("truncate_dim") is None
        modes = [name for name, used in pooling.items() if name.startswith("pooling_mode_") and used]
        width = pooling["word_embedding_dimension"]
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None
    plain = tuple(layers[:2]) == _LAYERS and all(kind == "Normalize" for _, kind in layers[2:])
    return width if plain and whole and len(modes) == 1 and isinstance(width, int) else None


def _read(file: Path) -> Any:
    return json.loads(file.read_text(encoding="utf-8"))
