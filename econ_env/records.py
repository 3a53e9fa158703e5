"""The frozen records that pass between the stages of a round, from the problem to its reward.

Every record is immutable, comparable by value and picklable. Texts are kept as the models wrote them; whatever could
not be had is `None` or marked by a status, never replaced by a plausible value.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Verdict = Literal["correct", "wrong", "no_answer"]
"""What the judge says of a reply: `no_answer` means that no final answer could be read in it."""

ReplyStatus = Literal["valid", "invalid"]
"""`invalid`: the call failed after its retries, or what came back could not be used."""

CommitmentSource = Literal["coordinator", "unanimous", "majority", "none"]
"""Who wrote the commitment: the coordinator, executors who all gave the same answer where that is not condensed, the
majority of valid answers after the coordinator's call failed, or nobody."""

CallRole = Literal["strategy", "executor", "commitment", "other"]
"""What a model call is for; usage is accounted by it."""

SecondControl = Literal["repetition_penalty", "top_p"]
"""Which sampling parameter the action's second coordinate p drives."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One question with its gold answer."""

    question: str
    """What the team is asked."""
    answer: str
    """The gold answer, bare: `18`, `\\frac{1}{2}`, `(C)`. Never shown to a model."""
    id: str
    """Unique within its source."""
    source: str = "custom"
    """Where it comes from: a data set's name, hub id or path."""
    kind: str = ""
    """A label to group results by (level, subject, wording); empty if there is none."""


@dataclass(frozen=True, slots=True)
class PromptEmbedding:
    """An executor's action e_i: how its model is sampled."""

    temperature: float
    """Sampling temperature T, in [0.1, 2.0]."""
    p: float
    """The second control; by default a repetition penalty in [1.0, 1.5]."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What calls cost. Adding two usages adds every field.

    An answer from the cache on disk counts the tokens of the call that was once made for it, so that a replayed run
    reports the same tokens as the original; budgets and prices count only what was sent (see `econ_env.llm.meter`).
    """

    calls: int = 0
    """Answered requests, also those served from the cache."""
    prompt_tokens: int = 0
    """Tokens of the prompts, those of unusable answers that were asked for again included."""
    completion_tokens: int = 0
    """Tokens generated, those of unusable answers included."""
    cached_prompt_tokens: int = 0
    """Of `prompt_tokens`, those the server says it took from its prompt cache."""
    cache_hits: int = 0
    """Of `calls`, those answered by the cache on disk (nothing was sent)."""
    retries: int = 0
    """Attempts beyond the first; an answer from the cache took none."""

    @property
    def tokens(self) -> int:
        """Prompt plus completion tokens."""
        return self.prompt_tokens + self.completion_tokens

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            calls=self.calls + other.calls,
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            completion_tokens=self.completion_tokens + other.completion_tokens,
            cached_prompt_tokens=self.cached_prompt_tokens + other.cached_prompt_tokens,
            cache_hits=self.cache_hits + other.cache_hits,
            retries=self.retries + other.retries,
        )


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the judge says of one reply."""

    verdict: Verdict
    """`correct`, `wrong`, or `no_answer`."""
    answer: str | None
    """The final answer as read in the reply; `None` exactly when the verdict is `no_answer`."""
    rule: str
    """Name and version of the rule that judged, for example `econ-answer-v2`."""

    @property
    def correct(self) -> bool:
        """Whether the verdict is `correct`."""
        return self.verdict == "correct"


@dataclass(frozen=True, slots=True)
class Strategy:
    """The coordinator's plan for a problem."""

    text: str | None
    """The plan, or `None` if its call failed: the executors then work without one."""
    usage: Usage = field(default_factory=Usage)
    """What it cost."""
    error: str | None = None
    """Why there is none."""
    redacted: bool = False
    """Whether a leaked answer was taken out of it."""


@dataclass(frozen=True, slots=True)
class Reply:
    """One executor's reply u_i in one round."""

    agent: str
    """The executor's name, `executor_0` and so on."""
    controls: PromptEmbedding
    """What it was sampled with."""
    text: str | None
    """What the model wrote; `None` if the call failed."""
    answer: str | None
    """The final answer read in the text; `None` if none could be read."""
    status: ReplyStatus
    """Whether it can be used."""
    parsed_json: bool = False
    """Whether the text was the JSON that was asked for."""
    usage: Usage = field(default_factory=Usage)
    """What it cost."""
    error: str | None = None
    """Why it is invalid."""

    @property
    def valid(self) -> bool:
        """Whether the reply can be used."""
        return self.status == "valid"


@dataclass(frozen=True, slots=True)
class Commitment:
    """The coordinator's condensation C of the replies; it carries the team's final answer."""

    text: str | None
    """The condensation; `None` if nothing valid was there to condense."""
    answer: str | None
    """The team's answer; `None` if none could be read."""
    source: CommitmentSource
    """Who wrote it."""
    parsed_json: bool = False
    """Whether the coordinator's text was the JSON that was asked for."""
    usage: Usage = field(default_factory=Usage)
    """What it cost."""
    error: str | None = None
    """Why the coordinator's call failed, if it did."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """A part of a large team with its own coordinator."""

    agents: tuple[str, ...]
    """Names of its executors."""
    commitment: Commitment
    """The local commitment: what its coordinator made of their replies."""


@dataclass(frozen=True, slots=True)
class Round:
    """One pass e -> replies -> commitment; in a large team e -> replies -> local commitments -> commitment."""

    index: int
    """0 for the first round of a decision."""
    strategy: Strategy
    """The plan all executors saw."""
    replies: tuple[Reply, ...]
    """One per executor, in the order of the agents."""
    commitment: Commitment
    """What the coordinator made of them, or of the local commitments if there are clusters."""
    seconds: float = 0.0
    """Wall time of the round; not part of any comparison of runs."""
    clusters: tuple[Cluster, ...] = ()
    """The parts of a large team, in the order of their agents; empty for a flat one."""

    @property
    def commitments(self) -> tuple[Commitment, ...]:
        """Local commitments, then the team's."""
        return (*(cluster.commitment for cluster in self.clusters), self.commitment)

    @property
    def usage(self) -> Usage:
        """Replies and commitments together; the strategy is paid once per problem and counted apart."""
        used = [reply.usage for reply in self.replies] + [commitment.usage for commitment in self.commitments]
        return sum(used, Usage())

    @property
    def failed(self) -> bool:
        """Whether nothing valid came back, so that the round can't be judged."""
        return self.commitment.source == "none"

    @property
    def error(self) -> str | None:
        """Why a call failed: the first invalid reply's reason, else the commitment's; `None` if none did."""
        return next((reply.error for reply in self.replies if reply.error), self.commitment.error)


@dataclass(frozen=True, slots=True)
class RewardParts:
    """The terms of one executor's reward and their weighted sum, each in [0, 1]."""

    al: float
    """Action likelihood: closeness of the reply to the team's commitment, not to that of its cluster."""
    ts: float
    """Task-specific: 1.0 if the answer equals the gold."""
    cc: float
    """Collaborative contribution: fidelity and novelty."""
    total: float
    """The sum, weighted by alpha."""
    further: Mapping[str, float] = field(default_factory=dict)
    """Terms that were added to these, by name."""
