"""A worker process: hosts environments for a learner in another process.

After the process died and was restarted, the worker continues where it was: a training environment repeats the calls
of its episode, a test episode is played again.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import torch
from gymnasium import spaces
from pettingzoo import ParallelEnv

from econ_agents.equilibrium import Outcome
from econ_agents.errors import TeamError
from econ_agents.joint_env import JointEnv, as_joint
from econ_agents.team_spec import TeamSpec
from econ_agents.together import Together
from econ_agents.trial import EpisodeResult, Trial


class Site(Protocol):
    """Makes a worker's environments and reports. It is pickled, sent to each worker, and opened there."""

    async def open(self, worker: int) -> None:
        """Prepare a worker's process; the first call there, also after a restart of the worker."""

    def make_env(self, part: str) -> ParallelEnv[str, Any, Any] | JointEnv:
        """Make an environment for a part of the run, such as training or test."""

    def identity(self) -> Any:
        """What must be equal in all workers besides the team's shape, such as the model that embeds texts."""

    def report(self, part: str, env: Any, result: EpisodeResult | None) -> Any:
        """Make the report of an ended episode for the learner's process.

        Args:
            part: As in `make_env`.
            env: The parallel environment, which still shows the episode.
            result: Result of a test episode; None in training.
        """


class About(NamedTuple):
    """Description of an environment, for a `RemoteEnv` that represents it."""

    team: TeamSpec
    observation_space: spaces.Space[Any]
    action_space: spaces.Space[Any]
    metadata: dict[str, Any]
    can_deliberate: bool
    reward_weights: tuple[float, ...] | None
    """None if it has no reward weights."""
    identity: Any
    """The site's identity."""


class EpisodeRequest(NamedTuple):
    """A call to make in an environment."""

    name: str
    """`areset`, `adeliberate` or `astep`."""
    arguments: tuple[Any, ...]
    """Seed and options, or the joint action."""
    weights: tuple[float, ...] | None
    """Reward weights to set first, if the environment has any."""


class EpisodeReport(NamedTuple):
    """Result of a call."""

    value: Any
    """What the environment returned."""
    outcome: Outcome | None = None
    """Outcome of the round, if the call was one."""
    report: Any = None
    """The site's report, if the episode ended."""


@dataclass
class _Hosted:
    """A training environment, and its answers in the current episode."""

    env: JointEnv
    episode: int = -1
    answers: list[EpisodeReport] = field(default_factory=list)
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


class Home(NamedTuple):
    """A worker's number and site. It comes with each call, so that a restarted worker knows it too."""

    worker: int
    """Number of the worker."""
    site: Sequence[Awaitable[Site]]
    """Reference to the site, in a list of one."""


class Worker:
    """The worker; runs as a Ray actor, whose methods share one event loop."""

    def __init__(self) -> None:
        self._opening = asyncio.Lock()
        self._opened: Site | None = None
        self._hosted: dict[int, _Hosted] = {}
        self._idle: dict[str, list[JointEnv]] = {}
        self._trial: tuple[int, Trial, Together] | None = None

    async def process(self) -> int:
        """Its process id."""
        return os.getpid()

    async def about(self, home: Home, part: str) -> About:
        """Describe the environments of a part of the run.

        Raises:
            TeamError: They have no async methods.
        """
        env = await self._make_env(home, part)
        self._idle.setdefault(part, []).append(env)
        weights = tuple(env.reward_weights) if env.weighs_rewards else None
        shape = (env.team, env.observation_space, env.action_space, env.metadata, env.can_deliberate)
        return About(*shape, weights, (await self._site(home)).identity())

    async def advance(
        self, home: Home, part: str, number: int, episode: int, calls: Sequence[EpisodeRequest]
    ) -> EpisodeReport:
        """Make the calls of an episode that were not made yet; return the answer to the last one.

        Args:
            home: The worker's number and site.
            part: The environment's part of the run.
            number: Number of the environment, which is made at its first call.
            episode: Number of the episode in this environment.
            calls: All calls of the episode so far; the first is a reset.
        """
        if number not in self._hosted:
            made = _Hosted(await self._make_env(home, part))
            self._hosted.setdefault(number, made)
        hosted = self._hosted[number]
        async with hosted.turn:  # after a broken connection the same call may come again while it still runs
            if hosted.episode != episode:
                hosted.episode, hosted.answers = episode, []
            for call in calls[len(hosted.answers) :]:
                hosted.answers.append(await self._do(home, part, hosted.env, call))
            return hosted.answers[-1]

    async def play(
        self,
        home: Home,
        part: str,
        weights: tuple[float, ...] | None,
        trial_number: int,
        trial: Sequence[Awaitable[Trial]],
        problem: int,
        seed: int,
    ) -> tuple[EpisodeResult, Any]:
        """Play a test episode.

        Args:
            home: The worker's number and site.
            part: The part of the run whose environment plays it.
            weights: As in `EpisodeRequest`.
            trial_number: Number of the trial.
            trial: Reference to the trial, in a list of one; fetched if its number is new.
            problem: Index of the problem.
            seed: Seed of the episode.

        Returns:
            Its result, and the site's report.
        """
        if self._trial is None or self._trial[0] != trial_number:
            fetched = await trial[0]
            self._trial = trial_number, fetched, fetched.together()
        _, chosen, together = self._trial
        idle = self._idle.setdefault(part, [])
        env = idle.pop() if idle else await self._make_env(home, part)
        if weights is not None:
            env.reward_weights = weights
        result = await chosen.play(env, problem, seed, together)
        report = (await self._site(home)).report(part, env.parallel_env, result)
        idle.append(env)
        return result, report

    async def _site(self, home: Home) -> Site:
        async with self._opening:
            if self._opened is None:
                torch.set_num_threads(1)
                site = await home.site[0]
                await site.open(home.worker)
                self._opened = site
            return self._opened

    async def _make_env(self, home: Home, part: str) -> JointEnv:
        env = as_joint((await self._site(home)).make_env(part))
        if not env.is_concurrent:
            raise TeamError(f"workers need areset, adeliberate and astep; add them to {env.parallel_env}")
        return env

    async def _do(self, home: Home, part: str, env: JointEnv, call: EpisodeRequest) -> EpisodeReport:
        if call.weights is not None:
            env.reward_weights = call.weights
        if call.name == "areset":
            seed, options = call.arguments
            return EpisodeReport(await env.areset(seed=seed, options=options))
        if call.name == "adeliberate":
            value = await env.adeliberate(*call.arguments)
            return EpisodeReport(value, env.last_outcome)
        transition = await env.astep(*call.arguments)
        ended = transition[2] or transition[3]
        site = await self._site(home)
        return EpisodeReport(transition, report=site.report(part, env.parallel_env, None) if ended else None)
