"""Records an episode (question, replies, commitments, rewards) for traces and rendering."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from econ_env.control_names import DEFAULT_CONTROLS, written
from econ_env.records import (
    Commitment,
    Credit,
    Judgement,
    Problem,
    Reply,
    RewardParts,
    Round,
    Strategy,
    Usage,
    as_plain,
)


@dataclass(slots=True)
class Decision:
    """One decision: its rounds and, once submitted, its judgement and rewards."""

    rounds: list[Round] = field(default_factory=list)
    """The rounds so far; the last one is submitted."""
    judgement: Judgement | None = None
    """The commitment's judgement; `None` until submitted, and for a failed round."""
    replies_judged: tuple[Judgement | None, ...] = ()
    """The judgement of each of `replies`; `None` for an invalid one."""
    rewards: tuple[RewardParts, ...] = ()
    """One per executor: the reward of its own reply."""
    team_reward: RewardParts | None = None
    """The team's reward r_tot and its parts."""
    weights: tuple[float, ...] | None = None
    """The weights alpha used: AL, TS, CC, then further terms."""
    credit: Credit = "own"
    """Whether each executor was paid the reward of its own reply or the team's."""

    @property
    def replies(self) -> tuple[Reply, ...]:
        """The replies that the last round's commitment is made from, also those of earlier rounds that it adds to."""
        start = max((place for place, round_ in enumerate(self.rounds) if not round_.adds), default=0)
        return tuple(reply for round_ in self.rounds[start:] for reply in round_.replies)

    @property
    def submitted(self) -> bool:
        """Whether rewards were paid for the decision."""
        return self.weights is not None

    @property
    def failed(self) -> bool:
        """Whether it was submitted and could not be judged."""
        return self.submitted and self.judgement is None

    @property
    def paid(self) -> tuple[float, ...]:
        """What each executor was paid; empty until submitted."""
        if self.credit == "team" and self.team_reward is not None:
            return (self.team_reward.total,) * len(self.rewards)
        return tuple(parts.total for parts in self.rewards)


@dataclass(slots=True)
class Episode:
    """One problem from question to verdict."""

    problem: Problem
    """The problem to solve."""
    seed: int
    """Seed of all sampling in the episode."""
    strategy: Strategy | None = None
    """The plan; `None` while it is deferred."""
    decisions: list[Decision] = field(default_factory=lambda: [Decision()])
    """Decisions so far, the current one last."""
    controls: tuple[str, ...] = DEFAULT_CONTROLS
    """Names of the controls that an action sets, as in `sampling.controls`."""

    @property
    def usage(self) -> Usage:
        """Usage of all calls of the episode."""
        total = Usage() if self.strategy is None else self.strategy.usage
        for decision in self.decisions:
            for round_ in decision.rounds:
                total = total + round_.usage
        return total

    @property
    def last_round(self) -> Round | None:
        """The latest round of any decision."""
        return next((d.rounds[-1] for d in reversed(self.decisions) if d.rounds), None)

    def round_row(self, decision: int, round_: Round) -> dict[str, Any]:
        """A round of a decision as a line of a trace, ready for JSON."""
        return {"problem": self.problem.id, "seed": self.seed, "decision": decision, "round": as_plain(round_)}

    def round_rows(self) -> list[dict[str, Any]]:
        """All rounds as lines of a trace."""
        return [self.round_row(n, round_) for n, decision in enumerate(self.decisions) for round_ in decision.rounds]

    def to_dict(self) -> dict[str, Any]:
        """Plain nested dicts and lists, ready for JSON."""
        plain: dict[str, Any] = as_plain(self)
        return plain

    def render(self) -> str:
        """The episode as readable text."""
        lines = [f"Problem {self.problem.id}: {self.problem.question}"]
        if self.strategy is not None and self.strategy.text:
            lines.append(f"Strategy: {self.strategy.text}")
        for number, decision in enumerate(self.decisions):
            for round_ in decision.rounds:
                lines.append(f"Decision {number}, round {round_.index}")
                lines += _round_lines(round_, self.controls)
            if decision.submitted:
                verdict = "failed" if decision.judgement is None else decision.judgement.verdict
                paid = ", ".join(f"{reward:.3f}" for reward in decision.paid)
                price = 0.0 if decision.team_reward is None else decision.team_reward.price
                cost = f"; price {price:.3f}" if price else ""
                lines.append(f"  {verdict}; gold {self.problem.answer}; rewards {paid}{cost}")
        return "\n".join(lines)


def _round_lines(round_: Round, controls: Sequence[str]) -> list[str]:
    """Replies, each cluster's local commitment below those of its executors, and the team's commitment."""
    asked = frozenset(round_.asked)
    said = {reply.agent: _reply_line(reply, controls, stands=reply.agent not in asked) for reply in round_.replies}
    if not round_.clusters:
        return [*said.values(), _commitment_line("commitment", round_.commitment)]
    lines = []
    for number, cluster in enumerate(round_.clusters):
        lines += [said[agent] for agent in cluster.agents]
        lines.append(_commitment_line(f"local commitment {number}", cluster.commitment))
    return [*lines, _commitment_line("commitment", round_.commitment)]


def _commitment_line(name: str, made: Commitment) -> str:
    return f"  {name} ({made.source}): {_short(made.text)} -> {made.answer}"


def _reply_line(reply: Reply, controls: Sequence[str], *, stands: bool) -> str:
    where = f"  {reply.agent} [{written(reply.controls, controls)}]"
    if reply.silent:
        return f"{where}: silent"
    said = _short(reply.text) if reply.valid else f"INVALID: {reply.error}"
    return f"{where}{' (stands)' if stands else ''}: {said} -> {reply.answer}"


def _short(text: str | None, width: int = 160) -> str:
    flat = " ".join((text or "").split())
    return flat if len(flat) <= width else f"{flat[: width - 1]}…"
