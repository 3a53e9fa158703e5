"""Describes a server, or a pool of servers, before it is contacted."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

from econ_env.llm.http.address import Address
from econ_env.llm.http.engine import EngineSettings
from econ_env.llm.http.fields import PENALTY_FIELDS, SAMPLER_FIELDS


@dataclass(frozen=True)
class Server:
    """One server or a pool, and how to send requests to it; holds no secret."""

    backend: str
    """`together`, `openai` or `local`."""
    where: str
    """Its name for people: the base URL without credentials, several URLs with commas, or the model file."""
    identity: str
    """Its name in cache keys. A pool has that of its first server, so that cached answers do not depend on which server
    gave them, and other servers may be added or removed."""
    addresses: tuple[Address, ...]
    """One address per server; the URL is empty for the embedded engine."""
    model: str = ""
    """Default model; empty to ask the server."""
    key_variable: str = "OPENAI_API_KEY"
    """Environment variable with the key, read when the connection is opened."""
    penalty_fields: tuple[str, ...] = PENALTY_FIELDS
    """Request fields from which it reads the repetition penalty."""
    sampler_fields: tuple[str, ...] = (*SAMPLER_FIELDS, "min_p")
    """Request fields of further samplers that it may know; see `SAMPLER_FIELDS`."""
    small: bool = False
    """Whether its model is so small that asking for JSON makes its answers worse."""
    engine: EngineSettings | None = None
    """The embedded engine to start, for a server inside this process."""

    @cached_property
    def without_model(self) -> Server:
        """The same server without a model name: the key of a pool that all models share."""
        return replace(self, model="")
