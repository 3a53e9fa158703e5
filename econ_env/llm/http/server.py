"""What is known of a server before it is spoken to."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

from econ_env.llm.http.address import Address
from econ_env.llm.http.engine import EngineSettings
from econ_env.llm.http.wire import PENALTY_FIELDS


@dataclass(frozen=True)
class Server:
    """Which server, or which servers with the same model, and how they are spoken to; holds no secret."""

    backend: str
    """`together`, `openai` or `local`."""
    where: str
    """What people call it: its base URL without credentials, several with commas between them, or the model file."""
    identity: str
    """What tells it from other servers in the cache. Servers of a list have that of the first one, so that an answer
    does not depend on which of them gave it, and others may join and leave."""
    addresses: tuple[Address, ...]
    """Where it answers; one for a single server, whose URL is empty if it is inside this process."""
    model: str = ""
    """Default model; empty to ask the server."""
    key_variable: str = "OPENAI_API_KEY"
    """Environment variable with the key, read when the line is opened."""
    penalty_fields: tuple[str, ...] = PENALTY_FIELDS
    """Names under which it reads the repetition penalty."""
    small: bool = False
    """Whether its model is so small that asking for JSON hurts it."""
    engine: EngineSettings | None = None
    """The embedded engine to start, for a server inside this process."""

    @cached_property
    def without_model(self) -> Server:
        """The same server, whichever of its models is asked."""
        return replace(self, model="")
