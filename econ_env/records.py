"""Defines the frozen records that pass between the stages of a round, from the problem to its reward.

Every record is immutable, comparable by value and picklable. Texts are kept as the models wrote them. A missing
value is `None` or marked by a status, never replaced by a plausible one.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, Literal

Verdict = Literal["correct", "wrong", "no_answer"]
"""The judge's verdict on a reply; `no_answer` means that no final answer could be read in it."""

ReplyStatus = Literal["valid", "invalid", "silent"]
"""`invalid`: the call failed even after its retries, or its text could not be used. `silent`: the executor was not
asked, so it is neither valid nor invalid."""

CommitmentSource = Literal["coordinator", "unanimous", "majority", "none"]
"""Where the commitment comes from: the coordinator; `unanimous` replies that were not condensed; the `majority` of the
answers, in a vote or because the coordinator's call failed; `none` if no reply was valid."""

CallRole = Literal["strategy", "executor", "commitment", "other"]
"""Purpose of a model call; usage is counted per purpose."""

SecondControl = Literal["repetition_penalty", "top_p"]
"""The sampling parameter that the action's second number p sets."""
Credit = Literal["own", "team"]
"""Whose reward an executor is paid: that of its own reply, or the team's."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One question with its gold answer."""

    question: str
    """The question for the team."""
    answer: str
    """The gold answer without other text: `18`, `\\frac{1}{2}`, `(C)`. Never shown to a model."""
    id: str
    """Unique within its source."""
    source: str = "custom"
    """Its origin: a data set's name, hub id or path."""
    kind: str = ""
    """A label to group results by (level, subject, wording); empty if there is none."""


@dataclass(frozen=True, slots=True)
class PromptEmbedding:
    """An executor's action e_i: how its model is sampled."""

    temperature: float
    """Sampling temperature T, in [0.1, 2.0]."""
    p: float
    """The second control; by default a repetition penalty in [1.0, 1.5]. It is top_p where that is a control and the
    penalty is none."""
    top_p: float | None = None
    """top_p where the penalty is a control too; `None` for the fixed value, or where p is top_p."""
    min_p: float | None = None
    """min-p; `None` for the fixed value."""
    speak: float = 1.0
    """Whether the executor is asked: from 0.5 on."""
    weight: float = 1.0
    """How much its answer counts in a weighted vote, in [0, 1]."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Cost of calls, in tokens and counts. Adding two usages adds every field.

    An answer from the cache on disk counts the tokens of its original call, so a replayed run reports the same tokens
    as the original one. Budgets and prices count only what was sent (see `econ_env.llm.meter`).
    """

    calls: int = 0
    """Answered requests, also those served from the cache."""
    prompt_tokens: int = 0
    """Tokens of the prompts, also of attempts with unusable answers."""
    completion_tokens: int = 0
    """Tokens generated, also those of unusable answers."""
    cached_prompt_tokens: int = 0
    """The part of `prompt_tokens` that the server reports as taken from its prompt cache."""
    cache_hits: int = 0
    """The part of `calls` that the cache on disk answered (nothing was sent)."""
    retries: int = 0
    """Attempts after the first; 0 for an answer from the cache."""
    thought_tokens: int = 0
    """The part of `completion_tokens` that the server reports as thought; 0 where it does not say."""

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
            thought_tokens=self.thought_tokens + other.thought_tokens,
        )


@dataclass(frozen=True, slots=True)
class Confidence:
    """How likely a model found what it says: log-probabilities of its tokens, in nats.

    The groups follow DeepConf (Fu et al. 2025, https://arxiv.org/abs/2508.15260), which takes the likeliest tokens at
    each place; here the tokens that were sampled count.
    """

    mean: float
    """Mean over all tokens, <= 0."""
    lowest: float
    """Lowest mean of a group, which is 16 tokens in a row, or all of them; <= `mean`."""
    tokens: int
    """Number of tokens, >= 1."""

    @property
    def probability(self) -> float:
        """exp(mean), in (0, 1]: the geometric mean of the tokens' probabilities."""
        return math.exp(self.mean)

    @property
    def lowest_probability(self) -> float:
        """exp(lowest), in (0, 1]."""
        return math.exp(self.lowest)


@dataclass(frozen=True, slots=True)
class Judgement:
    """The judge's verdict on one reply."""

    verdict: Verdict
    """`correct`, `wrong`, or `no_answer`."""
    answer: str | None
    """The final answer read in the reply; `None` exactly when the verdict is `no_answer`."""
    rule: str
    """Name and version of the rule that judged, for example `econ-answer-v4`."""

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
    """Its cost."""
    error: str | None = None
    """Why there is no plan."""
    redacted: bool = False
    """Whether a leaked answer was removed from it."""
    thought: str = ""
    """What the coordinator thought before it; kept for the record alone."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """Where a reply that was played from a bank is in it."""

    row: int
    """Its row in the file."""
    clipped: bool
    """Whether its controls lay outside the recorded ones, and the nearest recorded ones were played."""
    reused: bool
    """Whether it was played before in the same episode, since no further one was on record."""


@dataclass(frozen=True, slots=True)
class Working:
    """What can be checked of the working in a reply, without knowing the problem."""

    equations: int
    """Equations whose sides can be computed."""
    wrong: int
    """Those of them that do not hold."""
    numbers: int
    """Numbers written in it."""
    ends: bool
    """Whether its last number is the answer."""
    shows: bool
    """Whether the answer is among its numbers."""


@dataclass(frozen=True, slots=True)
class Reply:
    """One executor's reply u_i, as it stands in a round."""

    agent: str
    """The executor's name, `executor_0` and so on."""
    controls: PromptEmbedding
    """The controls it was sampled with; `speak` and `weight` are those of the round that shows it."""
    text: str | None
    """What the model said; `None` if the call failed, or was not made."""
    answer: str | None
    """The final answer read in the text; `None` if none could be read."""
    status: ReplyStatus
    """Whether it can be used."""
    parsed_json: bool = False
    """Whether the text was the requested JSON."""
    usage: Usage = field(default_factory=Usage)
    """Its cost."""
    error: str | None = None
    """Why it is invalid."""
    thought: str = ""
    """What the model thought before it; kept for the record alone."""
    confidence: Confidence | None = None
    """How likely the model found it; `None` where its server gives no log-probabilities, or was not asked for them."""
    recorded: Recorded | None = None
    """Where it is in the bank, if the team is recorded."""
    finish_reason: str | None = None
    """Why the model stopped: `stop`, `length` at its limit of tokens, or the server's own reason; `None` if the call
    failed, or the bank does not say."""
    chars: int | None = None
    """Characters of what the model said; `None` where it is unknown."""
    working: Working | None = None
    """What a bank says of its working; `None` where `text` is what the model said, or nothing is known."""

    @property
    def valid(self) -> bool:
        """Whether the reply can be used."""
        return self.status == "valid"

    @property
    def silent(self) -> bool:
        """Whether its executor has not spoken yet, so that there is no reply."""
        return self.status == "silent"


@dataclass(frozen=True, slots=True)
class Commitment:
    """The coordinator's condensation C of the replies; it carries the team's final answer."""

    text: str | None
    """The condensation; `None` if there was no valid reply."""
    answer: str | None
    """The team's answer; `None` if none could be read."""
    source: CommitmentSource
    """Where it comes from."""
    parsed_json: bool = False
    """Whether the coordinator's text was the requested JSON."""
    usage: Usage = field(default_factory=Usage)
    """Its cost."""
    error: str | None = None
    """Why the coordinator's call failed, if it did."""
    thought: str = ""
    """What the coordinator thought before it; kept for the record alone."""


SILENCE = Commitment(None, None, "none")
"""Stands for the commitment of executors none of whom has spoken."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """A part of a large team with its own coordinator."""

    agents: tuple[str, ...]
    """Names of its executors."""
    commitment: Commitment
    """The local commitment: its coordinator's condensation of their replies; `SILENCE` while none of them has
    spoken."""

    @property
    def silent(self) -> bool:
        """Whether none of its executors has spoken in the decision."""
        return self.commitment == SILENCE


_EVERYONE: tuple[str, ...] = ("everyone",)


@dataclass(frozen=True, slots=True)
class Round:
    """One pass e -> replies -> commitment; in a large team e -> replies -> local commitments -> commitment.

    Executors may stay silent. A reply stands until its executor is asked again in the same decision, and every round
    shows the replies that stand.
    """

    index: int
    """0 for the first round of a decision."""
    strategy: Strategy
    """The plan all executors saw."""
    replies: tuple[Reply, ...]
    """The reply of each executor that stands, in the order of the agents; `silent` for one that has not spoken in this
    decision. In rounds of methods, that of each one asked."""
    commitment: Commitment
    """The team's commitment, from the replies or, with clusters, from the local commitments."""
    seconds: float = 0.0
    """Wall time of the round; not part of any comparison of runs."""
    clusters: tuple[Cluster, ...] = ()
    """The parts of a large team, in the order of their agents; empty for a flat one."""
    adds: bool = False
    """Whether its replies add to those of the round before, so that its commitment is made from all of them; otherwise
    they replace them."""
    asked: tuple[str, ...] = _EVERYONE
    """Names of the executors that were asked in this round, in order; by default those of all `replies`. With none, the
    round costs no call."""

    def __post_init__(self) -> None:
        if self.asked is _EVERYONE:
            object.__setattr__(self, "asked", tuple(reply.agent for reply in self.replies))

    @property
    def silent(self) -> bool:
        """Whether nobody was asked."""
        return not self.asked

    @property
    def given(self) -> tuple[Reply, ...]:
        """The replies that were given in this round, without those that stand from earlier ones."""
        if len(self.asked) == len(self.replies):
            return self.replies
        return tuple(reply for reply in self.replies if reply.agent in self.asked)

    @property
    def commitments(self) -> tuple[Commitment, ...]:
        """Local commitments, then the team's, without those that stand because nobody below them was asked."""
        if self.silent:
            return ()
        asked = frozenset(self.asked)
        local = (part.commitment for part in self.clusters if not asked.isdisjoint(part.agents))
        return (*local, self.commitment)

    @property
    def usage(self) -> Usage:
        """What was asked in this round: replies and commitments; the strategy is counted once per problem."""
        used = [reply.usage for reply in self.given] + [commitment.usage for commitment in self.commitments]
        return sum(used, Usage())

    @property
    def failed(self) -> bool:
        """Whether no reply was valid, so the round can't be judged."""
        return self.commitment.source == "none"

    @property
    def error(self) -> str | None:
        """Why a call failed: the first invalid reply's reason, else the commitment's; `None` if none did."""
        return next((reply.error for reply in self.replies if reply.error), self.commitment.error)


@dataclass(frozen=True, slots=True)
class RewardParts:
    """The terms of one executor's reward, each in [0, 1], and their weighted sum less the price."""

    al: float
    """Action likelihood: closeness of the reply to the team's commitment, not to that of its cluster; with
    `reward.al: likelihood` the probability that the model gives to its reply."""
    ts: float
    """Task-specific: 1.0 if the answer equals the gold."""
    cc: float
    """Collaborative contribution: fidelity and novelty."""
    total: float
    """The sum of the terms, weighted by alpha, less `price`; in [0, 1] where nothing has a price. With
    `reward.credit: team` it is not what the executor is paid."""
    further: Mapping[str, float] = field(default_factory=dict)
    """Further terms, by name."""
    price: float = 0.0
    """What the replies cost, >= 0; see `reward.price`."""


_ATOMS = frozenset({str, int, float, bool, type(None)})
_field_names: dict[type, tuple[str, ...]] = {}  # of dataclasses; empty for other types


def as_plain(value: Any) -> Any:
    """A record as plain nested dicts, lists and tuples: what `dataclasses.asdict` returns, in a fifth of the time."""
    kind = type(value)
    if kind in _ATOMS:
        return value
    names = _field_names.get(kind)
    if names is None:
        names = _field_names[kind] = tuple(part.name for part in fields(kind)) if is_dataclass(kind) else ()
    if names:
        return {name: as_plain(getattr(value, name)) for name in names}
    if kind is tuple or kind is list:
        return kind(as_plain(part) for part in value)
    if kind is dict:
        return {key: as_plain(part) for key, part in value.items()}
    return copy.deepcopy(value)
