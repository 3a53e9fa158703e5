"""Defines what a method is and what it returns, and judges its answers."""

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
    """A method's answer to one problem: all texts, and how refinement went if there was any."""

    episode: Episode
    """Strategy, rounds, replies and commitments; the last round's commitment is the method's answer."""
    stop_reasons: tuple[str, ...] = ()
    """Why refinement ended, one per decision."""
    residuals: tuple[float, ...] = ()
    """Change of the controls in each response step."""
    gap: float | None = None
    """Best-response gap of the submitted controls, if it was measured."""
    believed: tuple[float | None, ...] | None = None
    """How likely the team held each of `replies` to be right when it stopped, in [0, 1], without meaning for one
    that has no answer; `None` where nothing was believed."""

    @classmethod
    def of(cls, problem: Problem, seed: int, rounds: Sequence[Round], strategy: Strategy | None = None) -> Self:
        """The answer of a method that ran these rounds.

        Args:
            problem: The problem.
            seed: The seed given to `Method.answer`.
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
        """The replies that the answer is made from."""
        return self.episode.decisions[-1].replies

    @property
    def text(self) -> str | None:
        """The judged text; `None` if no reply was valid."""
        return self.rounds[-1].commitment.text

    @property
    def usage(self) -> Mapping[CallRole, Usage]:
        """Its cost, by the purpose of the calls."""
        strategy = self.episode.strategy
        return {
            "strategy": Usage() if strategy is None else strategy.usage,
            "executor": sum((reply.usage for round_ in self.rounds for reply in round_.given), Usage()),
            "commitment": sum((made.usage for round_ in self.rounds for made in round_.commitments), Usage()),
        }


class Method(Protocol):
    """Answers problems. `answer` runs for many problems at once on one event loop.

    A callable that makes one from a `Team` can be named in `compare.py --methods`; `econ_env.testing.check_method`
    tests all of this.

    Examples:
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
        """Answer one problem, without using its gold answer; the same seed gives the same requests.

        The answer is not judged yet. A failed call is an invalid reply, and a round without a valid reply has a
        commitment of source `none`: missing texts are never made up.

        Raises:
            EconError: The run can't go on, for example because the budget is spent.
        """


async def judged(answer: Answer, rule: AnswerRule) -> Answer:
    """Judge every decision of an answer that is not judged yet, in place, and return the answer.

    A round without a valid reply is not judged: the problem counts as failed, not as wrong.

    Args:
        answer: A method's answer.
        rule: Judges the answers.

    Raises:
        JudgeError: Formulas had to be compared, and the process for it could not be started.
    """
    gold = answer.episode.problem.answer
    for decision in answer.episode.decisions:
        if not decision.replies_judged:
            await judging(rule, _judge, decision, gold, rule)
    return answer


def _judge(decision: Decision, gold: str, rule: AnswerRule) -> None:
    last = decision.rounds[-1]
    verdicts = judge_replies(decision.replies, gold, rule)
    verdict = None if last.failed else judge_answer(last.commitment.answer, gold, rule)
    decision.replies_judged, decision.judgement = verdicts, verdict
