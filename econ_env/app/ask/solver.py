"""Answers questions with a team and its policy, for `econ solve` and `econ serve`."""

from __future__ import annotations

import json
import textwrap
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from econ_agents.baselines import FixedControls
from econ_agents.device import device_of
from econ_agents.equilibrium import Acts
from econ_agents.joint_env import JointEnv, as_joint
from econ_agents.policy import EconPolicy
from econ_agents.team_spec import TeamSpec
from econ_agents.trial import Trial
from econ_env.app.ask.account import Account, account
from econ_env.app.run_config import RunConfig
from econ_env.app.runs.team_facts import print_facts, reach_team
from econ_env.app.runs.trained_with import load_trained
from econ_env.control_names import short_names
from econ_env.env import EconParallelEnv, without_address
from econ_env.errors import ConfigError, UnknownQuestionError
from econ_env.factory import parallel_env
from econ_env.llm.protocol import LLM
from econ_env.methods import Answer, judged
from econ_env.methods.sampling import TEMPERATURE, neutral_controls
from econ_env.observations.controls import ControlScale
from econ_env.problems.load import ProblemSet, load_problems
from econ_env.recorded.load import given_bank
from econ_env.records import Commitment, Problem, Reply, Usage
from econ_env.simulation.landscape import Landscape
from econ_env.simulation.model import SimulatedLLM
from econ_env.team.prompts import make_prompts
from econ_env.team.rounds import Team


@dataclass(frozen=True)
class Solution:
    """A team's answer to a question."""

    answer: Answer
    """All rounds, and how refinement went."""
    account: Account
    """Who was asked, how far each was believed, and why the team stopped."""
    seconds: float
    """Wall time in seconds."""


class QuestionTeam:
    """A team that answers questions, one at a time or many at once.

    Args:
        config: Settings of team and models.
        checkpoint: Folder or hub repository of the policy that chooses the controls; without one they are neutral:
            every executor is sampled at temperature 0.7 without penalty, in one round.
        known: Problems that a simulated or recorded team knows; others do not need them.

    Raises:
        ConfigError: More than one decision was asked for.
        CheckpointError: There is no such checkpoint.
    """

    def __init__(self, config: RunConfig, checkpoint: Path | None, known: tuple[Problem, ...] = ()) -> None:
        check_one_decision(config)
        self._policy: Acts | None = None
        if checkpoint is not None:
            self._policy, config = load_trained(config, str(checkpoint), one_decision=True)
        self.config, self.checkpoint, self._known = config, checkpoint, known
        self._by_question = {problem.question.strip(): problem for problem in known}
        self._llm: str | LLM = config.llm.backend
        if self._llm == "simulated":
            landscape, prompts = Landscape(sampling=config.sampling), make_prompts(config.prompts)
            self._llm = SimulatedLLM(known, landscape, prompts=prompts)
        self._idle: list[JointEnv] = []

    def prepare(self) -> None:
        """Contact the models and print facts about the team.

        Raises:
            TeamError: The policy was made for another team.
            EconError: The models are unavailable.
        """
        env = self._env()
        reach_team(env, learner=device_of(self._policy).type if isinstance(self._policy, EconPolicy) else None)
        spec = TeamSpec.of(env)
        self.team: Team = env.team
        """The models, which all questions share."""
        if isinstance(self._policy, EconPolicy):
            self._policy.fits(spec)
            print_facts({"controls": f"{self.checkpoint}, up to {self.rounds} rounds"})
            trained, now = self._policy.spec.made_with.get("llm"), without_address(self.config.llm.backend)
            if trained is not None and trained != now:
                print_facts({"trained": f"with --llm {trained}, now {now}"})
        else:
            neutral = neutral_controls(env.team, TEMPERATURE)
            action = ControlScale(self.config.sampling).action(neutral)
            self._policy = FixedControls(spec, action)
            named = zip(short_names(self.config.sampling.controls), action, strict=True)
            shown = " ".join(f"{name}={value:g}" for name, value in named)
            print_facts({"controls": f"neutral, {shown} (no --model-dir)"})
        self._trial = Trial(self._policy, rounds=self.rounds, config=self.config.bne)
        self._together = self._trial.together()
        self._idle.append(as_joint(env))

    def print_known(self) -> None:
        """Print what a team that knows only certain problems can answer; nothing for other teams."""
        if self._known:
            shown = textwrap.shorten(self._known[0].question, 60, placeholder=" ...")
            print_facts({"answers": f"only its {len(self._known):,} problems, such as {shown!r}"})

    @cached_property
    def rounds(self) -> int:
        """Maximum rounds K; controls without a policy are not refined, so K = 1."""
        return self.config.test_rounds if self.checkpoint is not None else 1

    async def solve(self, question: str, *, seed: int, gold: str | None = None) -> Solution:
        """Answer a question; `prepare` must have been called.

        Args:
            question: The question.
            seed: Determines every sample.
            gold: The right answer; if given, the team's answer is judged.

        Raises:
            UnknownQuestionError: The team knows only certain problems, and the text holds none of them.
            EconError: The models refuse every request, or the budget is spent.
        """
        problem = self._problem(question, gold)
        env = self._idle.pop() if self._idle else as_joint(self._env())
        start = time.perf_counter()
        env.parallel_env.unwrapped.problems = ProblemSet((problem,))
        done = await self._trial.consult(env, 0, seed, self._together)
        episode = env.parallel_env.unwrapped.episode
        self._idle.append(env)  # not after a cancelled question: its environment may still be busy
        gap = None if done.gap_after is None else sum(done.gap_after)
        answer = Answer(episode, (done.stop_reason,), tuple(done.residuals), gap)
        price = env.parallel_env.unwrapped.price
        told = account(answer.rounds, episode.controls, done.stop_reason, done.expected, self.config.reward, price)
        if gold is not None:
            await judged(answer, env.parallel_env.unwrapped.answer_rule)
        return Solution(answer, told, time.perf_counter() - start)

    def _problem(self, question: str, gold: str | None) -> Problem:
        """The problem to solve: the question, or for a team that knows only some, the one that it ends with.

        Clients put instructions and examples around a question.
        """
        if not self._known:
            return Problem(question, gold or "", "question", source="question")
        found = self._by_question.get(question.strip())
        if found is None:
            ends = ((question.rfind(text), len(text), text) for text in self._by_question)
            start, _, text = max(ends, default=(-1, 0, ""))
            if start < 0:
                raise UnknownQuestionError(
                    f"this team is {self._kind} and knows only {len(self._known):,} problems, such as "
                    f"{textwrap.shorten(self._known[0].question, 60, placeholder=' ...')!r}: ask one of them, or serve "
                    "a team of real models"
                )
            found = self._by_question[text]
        if self._kind == "recorded":
            return found
        return Problem(found.question.strip(), gold or "", "question", source="question")

    @property
    def _kind(self) -> str:
        return "simulated" if self.config.llm.backend == "simulated" else "recorded"

    def _env(self) -> EconParallelEnv:
        config = self.config
        return parallel_env(
            ProblemSet((Problem("", "", "question"),)),
            config=config.env_config(),
            llm=self._llm,
            coordinator=config.coordinator_model,
            executors=config.executor_model,
            embedder=config.embedder,
        )


def check_one_decision(config: RunConfig) -> None:
    """Refuse settings with several decisions before anything is loaded or reached.

    Raises:
        ConfigError: More than one decision was asked for.
    """
    if config.env_args.max_rounds > 1:
        raise ConfigError(
            "a question takes one decision, because a second one needs the gold answer: leave max_rounds at 1 and "
            "use --bne-rounds for more rounds"
        )


def known_problems(config: RunConfig, question: str | None = None, gold: str | None = None) -> tuple[Problem, ...]:
    """The problems that a simulated or recorded team knows: those of `--dataset` or of the bank.

    A simulated one also knows the question if its gold answer is given.

    Raises:
        ProblemError: They can't be loaded.
        ConfigError: The simulated model does not know the question, or more than one decision was asked for.
    """
    check_one_decision(config)
    bank = given_bank(config.llm.backend)
    if bank is not None:
        return bank.problems.problems
    if config.llm.backend != "simulated":
        return ()
    args = config.env_args
    problems = load_problems(
        args.hf_dataset_path,
        split=args.dataset_split,
        question_field=args.question_field_name,
        answer_field=args.answer_field_name,
        context_field=args.context_field_name,
        choices_field=args.choices_field_name,
    ).problems
    if question is None or any(problem.question.strip() == question.strip() for problem in problems):
        return problems
    if gold is None:
        raise ConfigError(
            f"the simulated model knows only the problems of {args.hf_dataset_path}: ask one of them, give --gold, or "
            "choose a real model with --llm"
        )
    return (Problem(question.strip(), gold, "question"),)


def failure(answer: Answer) -> str:
    """Why a team gave no answer."""
    return f"the team gave no valid reply: {answer.rounds[-1].error}"


def line_of(done: Solution) -> str:
    """A question as one line of a log: the answer, who was asked, the cost, why the team stopped; not its text."""
    answer, told = done.answer, done.account
    asked = ", ".join(agent for wave in told.waves for agent in wave.asked)
    number = len(answer.rounds)
    how = f"asked {asked}" if told.waves else f"{number} round{'' if number == 1 else 's'}"
    usage = answer.episode.usage
    found = answer.rounds[-1].commitment.answer or "none"
    shown = textwrap.shorten(found, 60, placeholder=" ...")
    return f"answer {shown}; {how}; {calls_of(usage)}, {usage.tokens:,} tokens, {done.seconds:.1f} s; {told.stopped}"


def calls_of(usage: Usage) -> str:
    """A number of calls, such as `1 call`."""
    return f"{usage.calls} call{'' if usage.calls == 1 else 's'}"


def readable(said: Reply | Commitment) -> str:
    """The text of a reply or commitment, without the JSON around it."""
    text = said.text or ""
    if said.parsed_json:
        try:
            parts = json.loads(text)
            return f"{parts['reasoning']}\n\nThe answer is {parts['answer']}."
        except (ValueError, KeyError, TypeError):
            pass  # JSON of another shape is shown unchanged
    return text
