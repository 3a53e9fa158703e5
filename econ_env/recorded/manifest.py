"""Says where a bank's replies come from; kept in the metadata of its Parquet file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Self

KEY = b"econ_bank"
"""The key of the manifest in the file's metadata."""


@dataclass(frozen=True)
class Manifest:
    """Facts about a bank; every one may be unknown, and is then empty."""

    models: Mapping[str, str] = field(default_factory=dict)
    """What is known of each model by its name: its file, server or source."""
    engine: str = ""
    """What ran the models."""
    prompts: str = ""
    """The prompt set that was asked with, or a description of the prompts."""
    answer_rule: str = ""
    """Name and version of the rule by which answers were read."""
    controls_version: str = ""
    """What the controls meant at the server; see `CONTROLS_VERSION`."""
    dataset: str = ""
    """The problem set."""
    source: str = ""
    """Where the replies were published, with commit and licence."""
    made: str = ""
    """Date on which the file was made."""
    recording: str = ""
    """What `econ record` was asked for, as JSON: it goes on only with its own files."""

    def to_json(self) -> bytes:
        """The manifest as the file's metadata keep it."""
        return json.dumps(asdict(self), sort_keys=True).encode()

    @classmethod
    def from_metadata(cls, metadata: Mapping[bytes, bytes] | None) -> Self:
        """The manifest in a file's metadata; an empty one if there is none that can be read."""
        try:
            values: Any = json.loads((metadata or {}).get(KEY, b"{}"))
        except ValueError:
            return cls()
        if not isinstance(values, dict):
            return cls()
        known = {part.name: values[part.name] for part in fields(cls) if part.name in values}
        models = known.pop("models", {})
        texts = {name: str(value) for name, value in known.items()}
        kept = {str(name): str(about) for name, about in models.items()} if isinstance(models, dict) else {}
        return cls(models=kept, **texts)
