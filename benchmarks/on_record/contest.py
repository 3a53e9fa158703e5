"""Plays all methods on one fold of a bank's problems, after they learned on the other folds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch

from benchmarks.on_record.calibration import Forecasts
from econ_agents.baselines import FixedControls
from econ_agents.config import AgentConfig, parse_config
from econ_agents.equilibrium import Acts
from econ_agents.joint_env import JointEnv, as_joint
from econ_agents.policy import EconPolicy
from econ_agents.train import train
from econ_agents.trial import Trial
from econ_env import EconParallelEnv, parallel_env
from econ_env.app.compare import Play, Profile, TeamMethod, cma_es, grid, ucb1
from econ_env.llm import background, derive_seed
from econ_env.methods import (
    AdaptiveConsistency,
    BestFirst,
    BestSingle,
    ConfidenceVote,
    EarlyStopping,
    Fitted,
    MemberRecord,
    Method,
    SelfConsistency,
    WeightedVote,
    any_right,
    ask_members,
    best_stop,
    judged,
)
from econ_env.problems import ProblemSet
from econ_env.recorded import WORKING, load_bank

VOICE_SETTINGS: Mapping[str, Any] = {
    "network": {"memory": False},
    "num_envs": 32,
    "batch_size": 1024,
    "update_interval": 128,
    "gradient_steps": 0.2,
    "gamma": 1.0,
    "exploration": {"all_speak": 1.0},
}
"""Settings of teams that learn who speaks and whom to believe. In training all speak, so that one episode teaches what
to believe of every set of replies, and what every order of calls would have earned.

They were chosen by the results of other teams on the same problems; see docs/recorded.md."""

BOUNDS = ("any_right", "best_stop")
"""Rows that no method can play: they know the answers."""


@dataclass(frozen=True)
class Setup:
    """What all folds share."""

    bank: str
    """File or name of the bank."""
    models: tuple[str, ...]
    """Model of each executor."""
    folds: int
    """Number of folds."""
    temperature: float
    """Temperature of the rules of thumb."""
    episodes: int
    """Training episodes of everything that learns sampling controls by playing."""
    voice_episodes: int
    """Training episodes of teams that learn who speaks and whom to believe."""
    prices: tuple[float, ...]
    """Prices of a call, in reward, at which those teams are tested, and between which they learn."""
    rules_only: bool = False
    """Whether all that learns by playing is left out."""
    sampling: bool = True
    """Whether sampling controls are searched for and learned, too."""
    without: tuple[str, ...] = ()
    """What is hidden from those teams: `length` of replies, `numbers` of answers, `working` of replies."""

    @property
    def one_model(self) -> bool:
        """Whether all executors are the same model, so that they differ only in their samples."""
        return len(set(self.models)) == 1

    def environment(self, problems: ProblemSet, **settings: Any) -> EconParallelEnv:
        """A recorded team on some problems."""
        bank = load_bank(self.bank)
        if "length" in self.without:
            bank = replace(bank, numbers={name: own for name, own in bank.numbers.items() if name != "reply_chars"})
        return parallel_env(problems, llm=bank, executors=self.models, config=settings)

    def voices(self, problems: ProblemSet, price: float | None = None) -> EconParallelEnv:
        """A recorded team in which executors may stay silent and weigh their reply.

        Args:
            problems: What it answers.
            price: Of a call; by default each episode draws one between those at which the team is tested.
        """
        low, high = min(filter(None, self.prices), default=0.0), max(self.prices)
        reward = {"price": low, "price_max": high if high > low else None} if price is None else {"price": price}
        return self.environment(
            problems,
            sampling={"controls": ["speak", "weight"], "temperature_default": self.temperature},
            commitment="weighted",
            reward=reward,
            observation={"parts": self._parts()},
        )

    def _parts(self) -> list[str]:
        """Observation parts that describe a reply; `working` only where the bank knows it."""
        bank = load_bank(self.bank)
        known = bank.read_replies is not None or all(name in bank.numbers for name in WORKING)
        parts = {"numbers": "answer_numbers"} | ({"working": "working"} if known else {})
        return [part for hidden, part in parts.items() if hidden not in self.without]


def fold_of(problems: int, folds: int, seed: int) -> np.ndarray:
    """The fold [P] of each problem: a random split into parts of equal size, another one for each seed."""
    numbers: np.ndarray = np.random.default_rng(seed).permutation(problems) % folds
    return numbers


Played = tuple[list[bool], list[int]]
"""Whether a method was right on each problem, and its calls."""


class Fold(NamedTuple):
    """What methods did on one fold."""

    places: list[int]
    """Places of its problems in the bank."""
    played: dict[str, Played]
    """By method."""
    forecasts: dict[str, Forecasts]
    """What teams that weigh replies believed of those that stood when they stopped, by method."""


def play_fold(setup: Setup, seed: int, fold: int) -> Fold:
    """Let every method learn on the other folds and answer the problems of this one."""
    torch.set_num_threads(1)
    problems = load_bank(setup.bank).problems
    places = fold_of(len(problems), setup.folds, seed)
    inside, outside = np.flatnonzero(places == fold).tolist(), np.flatnonzero(places != fold).tolist()
    contest = _Contest(setup, seed, _part(problems, outside), _part(problems, inside))
    return Fold(inside, contest.play(), contest.forecasts)


def _part(problems: ProblemSet, places: Sequence[int]) -> ProblemSet:
    return replace(problems, problems=tuple(problems[place] for place in places))


class _Contest:
    """The methods on one fold: what they learn of, and what they answer."""

    def __init__(self, setup: Setup, seed: int, learn: ProblemSet, test: ProblemSet) -> None:
        self.setup, self.seed, self.learn, self.test = setup, seed, learn, test
        self.env = setup.environment(test)
        self.rule = self.env.answer_rule
        self.forecasts: dict[str, Forecasts] = {}

    def play(self) -> dict[str, Played]:
        """Answers of all methods, and the bounds."""
        fitted = Fitted.of(background.run(self._record(self.learn)))
        methods = self._rules(fitted)
        if self.setup.rules_only:
            return background.run(self._all(methods, fitted))
        if self.setup.sampling:
            methods += [self._team(name, policy) for name, policy in background.run(self._searched()).items()]
            methods.append(self._team("econ_sampling", self._learned()))
        return self._voices() | background.run(self._all(methods, fitted))

    async def _all(self, methods: Sequence[Method], fitted: Fitted) -> dict[str, Played]:
        found = {method.name: await self._answers(method) for method in methods}
        return found | await self._bounds(fitted)

    def _rules(self, fitted: Fitted) -> list[Method]:
        """The rules of thumb, with what they need to know."""
        team, warm, size = self.env.team, self.setup.temperature, len(self.setup.models)
        rules: list[Method] = [
            BestSingle(team, fitted.order[0], warm, "best_single"),
            SelfConsistency(team, size, warm, "majority", lots=True),
            AdaptiveConsistency(team, 0.8, warm, most=size, name="adaptive_consistency@0.8"),
            EarlyStopping(team, 2, warm, most=size, name="esc@2"),
            BestFirst(team, fitted.order, 2, warm, most=size, name="best_first@2"),
            WeightedVote(team, fitted.weights, warm, "weighted_vote"),
        ]
        if self.setup.one_model:
            rules += [SelfConsistency(team, k, warm, f"sc@{k}") for k in range(1, size)]
        if fitted.softmax_temperature is not None:
            rules.append(ConfidenceVote(team, fitted.softmax_temperature, warm, "cisc"))
        return rules

    async def _record(self, problems: ProblemSet) -> MemberRecord:
        team = self.setup.environment(problems).team
        return await ask_members(team, problems, self.seed, self.setup.temperature, 1)

    async def _answers(self, method: Method) -> Played:
        """Whether a method is right on each test problem, and its calls."""
        right, calls = [], []
        for problem in self.test:
            seed = derive_seed("episode", self.seed, problem.id)
            answer = await judged(await method.answer(problem, seed), self.rule)
            judgement = answer.episode.decisions[-1].judgement
            right.append(judgement is not None and judgement.correct)
            calls.append(answer.usage["executor"].calls)
        return right, calls

    def _team(self, name: str, policy: Acts) -> Method:
        return TeamMethod(name, policy, lambda: self.env, self.test, rounds=1, gaps=False)

    async def _bounds(self, fitted: Fitted) -> dict[str, Played]:
        record = await self._record(self.test)
        stops = best_stop(record, fitted.order)
        everyone = [len(self.setup.models)] * len(self.test)
        return {
            "any_right": (any_right(record).tolist(), everyone),
            "best_stop": (stops.right.tolist(), stops.asks.tolist()),
        }

    # What learns by playing ---------------------------------------------------------------------------------------

    async def _searched(self) -> dict[str, Acts]:
        """Fixed controls that were searched for on the training problems."""
        env = as_joint(self.setup.environment(self.learn))
        start = np.full((env.team.n_agents, env.team.action_dim), 0.5)

        def policy(profile: Profile) -> FixedControls:
            return FixedControls(env.team, env.to_env(2.0 * profile - 1.0).reshape(start.shape).tolist())

        async def play(plays: Sequence[Play]) -> list[float | None]:
            return [await self._score(env, policy(asked.profile), asked.problem % len(self.learn)) for asked in plays]

        return {
            "bandit": policy(await ucb1(grid(start), self.setup.episodes, play)),
            "cma_es": policy(await cma_es(start, self.setup.episodes, self.seed, play)),
        }

    async def _score(self, env: JointEnv, policy: Acts, problem: int) -> float:
        trial = Trial(policy, rounds=1)
        seed = derive_seed("episode", self.seed, self.learn[problem].id)
        result = await trial.play(env, problem, seed, trial.together())
        return float(result.decisions[-1].numbers["team_correct"])

    def _voices(self) -> dict[str, Played]:
        """A team that learns who speaks and whom to believe, tested at each price: one for each was no better."""
        setup, found = self.setup, {}
        make, config = partial(setup.voices, self.learn), parse_config(VOICE_SETTINGS)
        policy = train(make, config, episodes=setup.voice_episodes, seed=self.seed, problem_of=self._dealt).policy
        for price in setup.prices:
            name = f"econ@{price:g}"
            found[name], self.forecasts[name] = self._spoken(policy, as_joint(setup.voices(self.test, price)))
        return found

    def _dealt(self, episode: int) -> int:
        """The training problem of an episode: all come once before any comes again."""
        turn, place = divmod(episode, len(self.learn))
        return int(np.random.default_rng([self.seed, turn]).permutation(len(self.learn))[place])

    def _spoken(self, policy: EconPolicy, env: JointEnv) -> tuple[Played, Forecasts]:
        """What a team answers whose executors speak in turn, and what it believes of its replies when it stops."""
        right, calls, believed, true = [], [], [], []
        for place, problem in enumerate(self.test):
            obs_ND, _ = env.reset(seed=derive_seed("episode", self.seed, problem.id), options={"problem": place})
            ended = False
            while not ended:
                seen_1ND = torch.as_tensor(obs_ND)[None]
                obs_ND, _, ended, _, info = env.step(env.to_env(policy.propose(seen_1ND)[0].numpy()))
            right.append(info["team_correct"] > 0.5)
            calls.append(int(info["calls"]))
            chance_N = policy.believed(seen_1ND)[0].numpy()
            stands_N = ~np.isnan(chance_N)
            believed.append(chance_N[stands_N].astype(float))
            true.append(info["correct"][stands_N] > 0.5)
        return (right, calls), (np.concatenate(believed), np.concatenate(true))

    def _learned(self) -> EconPolicy:
        make = partial(self.setup.environment, self.learn)
        return train(make, AgentConfig(), episodes=self.setup.episodes, seed=self.seed).policy
