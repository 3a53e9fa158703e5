"""What a method is, what it hands back, and how that is judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, Self

from econ_env.answers import AnswerRule, judge_answer, judging
from econ_env.episode import Decision, Episode
from econ_env.records import CallRole, Problem, Reply, Round, Strategy, Usage
from econ_env.rewards.scoring import judge_replies


@dataclass(frozen=True)
class Answer:
    """What a method made of one problem: everything that was said, and how refinement went where there was any."""

    episode: Episode
    """Strategy, rounds, replies and commitments; the last round's commitment is the method's answer."""
    stop_reasons: tuple[str, ...] = ()
    """Why refinement ended, one per decision."""
    residuals: tuple[float, ...] = ()
    """How far the controls moved in each response step."""
    gap: float | None = None
    """Best-response gap of the submitted controls, if it was measured."""

    @classmethod
    def of(cls, problem: Problem, seed: int, rounds: Sequence[Round], strategy: Strategy | None = None) -> Self:
        """The answer of a method that took these rounds.

        Args:
            problem: What was asked.
            seed: What `Method.answer` was given.
            rounds: At least one.
            strategy: The plan, if the method paid for one.
        """
        return cls(Episode(problem, seed, strategy, [Decision(list(rounds))]))

    @property
    def rounds(self) -> tuple[Round, ...]:
        """All rounds in order."""
        return tuple(round_ for decision in self.episode.decisions for round_ in decision.rounds)

    @property
    def replies(self) -> tuple[Reply, ...]:
        """The last round's replies."""
        return self.rounds[-1].replies

    @property
    def text(self) -> str | None:
        """The text that is judged; `None` if nothing valid came back."""
        return self.rounds[-1].commitment.text

    @property
    def usage(self) -> Mapping[CallRole, Usage]:
        """What it cost, by what the calls were for."""
        strategy = self.episode.strategy
        return {
            "strategy": Usage() if strategy is None else strategy.usage,
            "executor": sum((reply.usage for round_ in self.rounds for reply in round_.replies), Usage()),
            "commitment": sum((made.usage for round_ in self.rounds for made in round_.commitments), Usage()),
        }


class Method(Protocol):
    """Whatever answers problems. `answer` runs for many problems at once on one event loop.

    What makes one from a `Team` can be named to `compare.py`; `econ_env.testing.check_method` asks for all of it.

    Example:
        >>> class AskTwice:
        ...     name = "ask_twice"
        ...     def __init__(self, team: Team) -> None:
        ...         self.team = team
        ...     async def answer(self, problem: Problem, seed: int) -> Answer:
        ...         prompts = [self.team.prompts.executor(problem.question, None, None, "text")] * 2
        ...         controls = [PromptEmbedding(0.7, 1.0)] * 2
        ...         replies = await self.team.replies(problem, prompts, controls, index=0, seed=seed)
        ...         return Answer.of(problem, seed, [Round(0, Strategy(None), replies, await self.team.vote(replies))])
    """

    @property
    def name(self) -> str:
        """Its name in files and tables."""

    async def answer(self, problem: Problem, seed: int) -> Answer:
        """Answer one problem; the same seed gives the same requests. It is not judged yet, and must not use the gold.

        A call that failed is an invalid reply, and a round without a valid reply has a commitment of source `none`:
        nothing stands in for what could not be had.

        Raises:
            EconError: The run can't go on, for example because the budget is spent.
        """


async def judged(answer: Answer, rule: AnswerRule) -> Answer:
    """The same answer with the judge's verdicts on every decision that has none yet, in place.

    A round in which nothing valid came back is not judged: the problem counts as failed, not as wrong.

    Args:
        answer: What a method made of a problem.
        rule: Judges.

    Raises:
        JudgeError: Formulas had to be compared and the process for it can't be started.
    """
    gold = answer.episode.problem.answer
    for decision in answer.episode.decisions:
        if not decision.replies_judged:
            await judging(rule, _judge, decision, gold, rule)
    return answer


def _judge(decision: Decision, gold: str, rule: AnswerRule) -> None:
    last = decision.rounds[-1]
    verdicts = judge_replies(last, gold, rule)
    verdict = None if last.failed else judge_answer(last.commitment.answer, gold, rule)
    decision.replies_judged, decision.judgement = verdicts, verdict
