"""What a language model is to this package: one async method from a request to a completion.

Anything with the attributes of `LLM` can be passed as `llm=` to the environment. The OpenAI-compatible client, the
embedded engine and the simulated team under `econ_env.llm.make` all speak this protocol.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from econ_env.records import CallRole, Usage

if TYPE_CHECKING:
    from econ_env.config import LLMConfig


@dataclass(frozen=True, slots=True)
class Message:
    """One chat message."""

    role: Literal["system", "user", "assistant"]
    """Who speaks."""
    content: str
    """What is said."""


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """One model call with everything that decides its outcome, and labels that only say what it is for."""

    messages: tuple[Message, ...]
    """The chat so far."""
    model: str
    """Model name as its server knows it; empty for the server's default."""
    temperature: float
    """Sampling temperature, >= 0."""
    repetition_penalty: float
    """>= 1; 1.0 turns it off."""
    top_p: float
    """Nucleus mass, in (0, 1]."""
    max_tokens: int
    """Hard limit on generated tokens."""
    seed: int
    """Sampling seed, 0 <= seed < 2**31."""
    sample_index: int = 0
    """Tells apart requests that are equal otherwise, so that n samples are n calls (also in the cache)."""
    json_schema: Mapping[str, Any] | None = None
    """Ask the server to write JSON of this schema, where it can."""
    require_json: bool = False
    """Whether a completion that holds no readable JSON counts as unusable and is asked for once more."""
    bypass_cache: bool = False
    """Whether the cache on disk is passed over: neither looked up nor added to."""
    role: CallRole = "other"
    """Label: what the call is for."""
    agent: str = ""
    """Label: the executor's name, `cluster_0` and so on for a local coordinator, empty for the team's coordinator."""
    problem_id: str = ""
    """Label: the problem's id."""
    round_index: int = 0
    """Label: the round within the decision."""


@dataclass(frozen=True, slots=True)
class Completion:
    """What a model answered; only ever made from a real answer."""

    text: str
    """The answer, not empty."""
    finish_reason: str
    """`stop`, `length`, or what the server says."""
    model: str
    """The model that answered, as the server names it."""
    usage: Usage = field(default_factory=Usage)
    """What the call cost, its retries included."""


@dataclass(frozen=True, slots=True)
class LLMInfo:
    """What is known of a model before the first call."""

    backend: str
    """`together`, `openai`, `local`, `simulated`, `replay`, or a name of your own."""
    model: str
    """The default model's name."""
    where: str
    """Server address without credentials, file path, or empty."""
    json_mode: bool
    """Whether the server can be asked to write JSON of a schema."""
    small: bool = False
    """Whether the model is so small that asking for JSON hurts it: text replies are then the default."""
    keeps_deadline: bool = False
    """Whether it ends a call after `llm.round_timeout` itself, not counting the time in which the call waits for its
    turn. Otherwise whoever calls it counts from the call on."""


@runtime_checkable
class LLM(Protocol):
    """A language model, or a server of several.

    Example:
        >>> class Parrot:
        ...     info = LLMInfo(backend="parrot", model="parrot-1", where="", json_mode=False)
        ...     async def complete(self, request: ChatRequest) -> Completion:
        ...         return Completion(text=request.messages[-1].content, finish_reason="stop", model="parrot-1")
        ...     async def aclose(self) -> None: ...
    """

    @property
    def info(self) -> LLMInfo:
        """What is known of the model; starting a server to find out is allowed."""
        ...

    async def complete(self, request: ChatRequest) -> Completion:
        """Answer one request.

        Calls run concurrently on one event loop; the implementation bounds how many are in flight.

        Raises:
            LLMError: The call failed for good. It must never answer with a made-up text instead.
            BudgetError: The run's budget is spent.
        """
        ...

    async def aclose(self) -> None:
        """Release connections and servers; may be called twice."""
        ...


class MakesLLM(Protocol):
    """What a package registers as a backend: `llm: NAME` calls it. A class with such arguments is one."""

    def __call__(self, config: LLMConfig, model: str | None) -> LLM:
        """A language model, with nothing contacted yet.

        Args:
            config: Deadlines, retries, limits, cache and budget; heed what applies.
            model: The model's name as it was asked for; `None` for the default.

        Raises:
            ConfigError: There is no such model, or a key or file is missing.
        """
        ...
