"""Defines the interface of a language model: one async method from a request to a completion.

Any object with the attributes of `LLM` can be passed as `llm=` to the environment. The OpenAI-compatible client, the
embedded engine and the simulated team all implement this protocol.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from econ_env.records import CallRole, Confidence, Usage

if TYPE_CHECKING:
    from econ_env.config import LLMConfig


CONTROLS_VERSION = "econ-controls-v2"
"""What controls mean at a server, written into every result and into cache keys: temperature first, then min_p and
top_p, no top_k, and a penalty over the whole context, wherever the server can be told so."""


@dataclass(frozen=True, slots=True)
class Message:
    """One chat message."""

    role: Literal["system", "user", "assistant"]
    """Author of the message."""
    content: str
    """Text of the message."""


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """One model call: all that decides its result, and labels that only describe it."""

    messages: tuple[Message, ...]
    """The chat so far."""
    model: str
    """The model's name at its server; empty for the server's default."""
    temperature: float
    """Sampling temperature, >= 0."""
    repetition_penalty: float
    """Repetition penalty, >= 1; 1.0 turns it off."""
    top_p: float
    """Nucleus mass, in (0, 1]."""
    max_tokens: int
    """Hard limit on generated tokens; a server counts thought too, so `llm.thinking_tokens` is added there."""
    seed: int
    """Sampling seed, 0 <= seed < 2**31."""
    sample_index: int = 0
    """Distinguishes requests that are otherwise equal, so that n samples are n calls (also in the cache)."""
    json_schema: Mapping[str, Any] | None = None
    """Schema of the JSON that the server is asked to write, if it supports this."""
    require_json: bool = False
    """Whether a completion without readable JSON counts as unusable and is requested once more."""
    logprobs: bool = False
    """Whether to ask for the log-probabilities of the answer's tokens."""
    bypass_cache: bool = False
    """Whether to skip the cache on disk: neither read nor write it."""
    role: CallRole = "other"
    """Label: the purpose of the call. With `agent` it also chooses what `llm.extra_for` adds."""
    agent: str = ""
    """Label: the executor's name, `cluster_0` and so on for a local coordinator, empty for the team's coordinator."""
    problem_id: str = ""
    """Label: the problem's id."""
    round_index: int = 0
    """Label: the round within the decision."""
    min_p: float = 0.0
    """Least probability of a token, as a share of the most likely one's, in [0, 1); 0 turns it off."""


@dataclass(frozen=True, slots=True)
class Completion:
    """A model's answer; only made from a real answer."""

    text: str
    """What the model says, not empty. The team takes out thought that is left in it (see `split_thought`)."""
    finish_reason: str
    """`stop`, `length`, or the server's own reason."""
    model: str
    """The answering model's name at the server, never the path of a file there."""
    usage: Usage = field(default_factory=Usage)
    """Cost of the call with its retries."""
    thought: str = ""
    """What the model thought before it answered; nothing but records may use it."""
    confidence: Confidence | None = None
    """How likely the model found the tokens of `text`, without those of its thought (see `confidence_of`); `None` if
    that is unknown."""


@dataclass(frozen=True, slots=True)
class LLMInfo:
    """Facts about a model, available before the first call."""

    backend: str
    """`together`, `openai`, `local`, `simulated`, `replay`, or a name of your own."""
    model: str
    """The default model's name."""
    where: str
    """Server address without credentials, file path, or empty."""
    json_mode: bool
    """Whether the server supports JSON with a schema."""
    small: bool = False
    """Whether the model is so small that JSON makes its answers worse; text replies are then the default."""
    keeps_deadline: bool = False
    """Whether the model itself ends a call after `llm.round_timeout`, without counting the time in which the call waits
    for its turn. Otherwise the caller ends it, and counts that time too."""
    logprobs: bool = False
    """Whether completions have a `confidence` if the request asks for `logprobs`, as far as is known before the first
    answer; `reward.al: likelihood` needs it."""


@runtime_checkable
class LLM(Protocol):
    """A language model, or a server with several models.

    Examples:
        >>> class Parrot:
        ...     info = LLMInfo(backend="parrot", model="parrot-1", where="", json_mode=False)
        ...     async def complete(self, request: ChatRequest) -> Completion:
        ...         return Completion(text=request.messages[-1].content, finish_reason="stop", model="parrot-1")
        ...     async def aclose(self) -> None: ...
    """

    @property
    def info(self) -> LLMInfo:
        """Facts about the model; reading them may start a server."""
        ...

    async def complete(self, request: ChatRequest) -> Completion:
        """Answer one request.

        Calls run concurrently on one event loop; the implementation limits how many are in flight.

        Raises:
            LLMError: The call failed even after its retries. Never return a made-up text instead.
            BudgetError: The run's budget is spent.
        """
        ...

    async def aclose(self) -> None:
        """Release connections and servers; may be called twice."""
        ...


class MakesLLM(Protocol):
    """A backend that a package registers; `llm: NAME` calls it. A class with these arguments is one too."""

    def __call__(self, config: LLMConfig, model: str | None) -> LLM:
        """Make a language model without contacting a server.

        Args:
            config: Deadlines, retries, limits, cache and budget; follow those that apply.
            model: Name of the requested model; `None` for the default.

        Raises:
            ConfigError: There is no such model, or a key or file is missing.
        """
        ...
