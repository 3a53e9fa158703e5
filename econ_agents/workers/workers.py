"""Runs environments in worker processes of a Ray cluster; the learner stays in one process.

>>> with Workers(lambda count: MySite(), count=4) as workers:
...     result = train(workers.envs("train"), config, episodes=1000)
...     evaluate_each(result.policy, workers.envs("test"), range(500), write)

In training the learner chooses controls and each worker steps many environments. A test episode is played as a whole
in its worker; the weights are sent there once per test. Results equal those of one process, whichever worker plays an
episode. Ray restarts a worker that dies, if there is room, and the worker repeats what it had not finished.

Needs Ray: `pip install 'econ-bne[ray]'`.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from numpy.typing import ArrayLike
from torch import nn

from econ_agents.device import CPU, device_of
from econ_agents.equilibrium import Outcome
from econ_agents.errors import WorkerError
from econ_agents.joint_env import Array, JointEnv, JointTransition
from econ_agents.trial import EpisodeResult, Trial
from econ_agents.workers.ray_setup import find_ray
from econ_agents.workers.worker import About, EpisodeReport, EpisodeRequest, Home, Site, Worker

if TYPE_CHECKING:
    from ray import ObjectRef

Actor = Any
"""Ray's handle of a `Worker` in another process; its methods have a `remote` that returns a reference."""

RESTARTS = 20
"""Largest number of restarts of a worker; after that the run fails."""


class Workers:
    """Starts worker processes; as a context manager it ends them at its exit.

    Args:
        make_site: Called with the number of workers once Ray runs; returns the site for all of them.
        count: Number of workers; by default the cluster's processors minus one, but at least 1 and at most 8.
        address: Address of a cluster to join, `auto` for the one that this machine belongs to. `local` starts one here,
            which listens on the loopback address only and ends with the workers. By default the value of the
            environment variable `RAY_ADDRESS`, or `local`.
        on_report: Called with the site's report of each training episode that has ended.

    Raises:
        WorkerError: Ray is not installed, or the cluster can't be reached or has too few processors.

    Attributes:
        actors: The workers' Ray actors.
        site: Their site.
    """

    def __init__(
        self,
        make_site: Callable[[int], Site],
        *,
        count: int | None = None,
        address: str | None = None,
        on_report: Callable[[Any], None] | None = None,
    ) -> None:
        self.actors: list[Actor] = []
        wanted, self._own_ray = find_ray(count, address)
        import ray

        make: Any = ray.remote(Worker).options(
            num_cpus=1, max_restarts=RESTARTS, max_task_retries=-1, max_concurrency=10_000
        )
        try:
            self.site = make_site(wanted)
        except BaseException:
            self.close()
            raise
        sent = ray.put(self.site)
        self.actors = [make.remote() for _ in range(wanted)]
        self._homes = [Home(number, [sent]) for number in range(wanted)]
        self._on_report = on_report
        self._made, self._sent = itertools.count(), itertools.count()
        self._abouts: dict[str, About] = {}
        self._trial: tuple[Trial, int, ObjectRef[Trial]] | None = None

    def envs(self, part: str) -> Callable[[], RemoteEnv]:
        """A factory of environments for a part of the run, each in the next worker in turn.

        It raises `WorkerError` if the workers' environments differ, and any error of a worker that can't make one.
        """
        return lambda: self._make_env(part)

    def processes(self) -> list[int]:
        """Process ids of the workers."""
        import ray

        with _errors_of_workers():
            return list(ray.get([actor.process.remote() for actor in self.actors]))

    def place(self, trial: Trial) -> tuple[int, ObjectRef[Trial]]:
        """A trial's number and the reference from which workers fetch it; each trial is stored once."""
        if self._trial is None or self._trial[0] is not trial:
            import ray

            self._trial = trial, next(self._sent), ray.put(_on_cpu(trial))
        return self._trial[1:]

    def tell(self, report: Any) -> None:
        """Pass on the report of a training episode."""
        if self._on_report is not None:
            self._on_report(report)

    def close(self) -> None:
        """End the workers, and Ray if it was started here; may be called twice."""
        import ray

        for actor in self.actors:
            ray.kill(actor)
        self.actors = []
        if self._own_ray:
            self._own_ray = False
            ray.shutdown()

    def _make_env(self, part: str) -> RemoteEnv:
        if part not in self._abouts:
            self._abouts[part] = self._ask_about(part)
        number = next(self._made)
        worker = number % len(self.actors)
        return RemoteEnv(self, self.actors[worker], self._homes[worker], part, number, self._abouts[part])

    def _ask_about(self, part: str) -> About:
        import ray

        with _errors_of_workers():
            pairs = zip(self.actors, self._homes, strict=True)
            abouts: list[About] = ray.get([actor.about.remote(home, part) for actor, home in pairs])
        first = abouts[0]
        for about in abouts:
            for one, other in ((first.identity, about.identity), (first.team, about.team)):
                if one != other:
                    raise WorkerError(
                        f"workers differ: {one} and {other}; give all machines the same packages and models"
                    )
        return first

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


class RemoteEnv(JointEnv):
    """A joint environment that represents one in a worker; made by `Workers.envs`."""

    def __init__(self, workers: Workers, actor: Actor, home: Home, part: str, number: int, about: About) -> None:
        self.team = about.team
        self.observation_space, self.action_space = about.observation_space, about.action_space
        self._low, self._high = self.team.joint_action_space.low, self.team.joint_action_space.high
        self.metadata, self.render_mode = about.metadata, None
        self._workers, self._actor, self._about = workers, actor, about
        self._home, self._part, self._number = home, part, number
        self._weights = about.reward_weights
        self._episode = 0
        self._calls: list[EpisodeRequest] = []
        self._outcome: Outcome | None = None

    @property
    def run_coroutine(self) -> None:
        """None: its worker has the loop of the model calls."""

    async def play(self, trial: Trial, problem: int, seed: int) -> tuple[EpisodeResult, Any]:
        """Play a test episode in the worker; return its result and the site's report."""
        number, place = self._workers.place(trial)
        with _errors_of_workers():
            # Ray does not resolve a reference inside a list: the worker fetches the trial only if it does not have it.
            result, report = await self._actor.play.remote(
                self._home, self._part, self._weights, number, [place], problem, seed
            )
        return result, report

    async def areset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Array, dict[str, Any]]:
        """As in `JointEnv`, but a seed is required, so that the episode can be repeated.

        Raises:
            WorkerError: There is no seed.
        """
        if seed is None:
            raise WorkerError("an environment in a worker needs a seed at each reset, to repeat the episode")
        self._episode += 1
        self._calls = []
        value: tuple[Array, dict[str, Any]] = await self._do("areset", seed, options)
        return value

    async def adeliberate(self, action: ArrayLike) -> tuple[Array, dict[str, Any]]:
        """As in `JointEnv`."""
        value: tuple[Array, dict[str, Any]] = await self._do("adeliberate", action)
        return value

    async def astep(self, action: ArrayLike) -> JointTransition:
        """As in `JointEnv`."""
        value: JointTransition = await self._do("astep", action)
        return value

    @property
    def can_deliberate(self) -> bool:
        """As in `JointEnv`."""
        return self._about.can_deliberate

    @property
    def is_concurrent(self) -> bool:
        """Always true: there are only async methods."""
        return True

    @property
    def last_outcome(self) -> Outcome | None:
        """As in `JointEnv`."""
        return self._outcome

    @property
    def weighs_rewards(self) -> bool:
        """As in `JointEnv`."""
        return self._weights is not None

    @property
    def reward_weights(self) -> tuple[float, ...]:
        """As in `JointEnv`; sent along with the next call."""
        assert self._weights is not None
        return self._weights

    @reward_weights.setter
    def reward_weights(self, weights: Sequence[float]) -> None:
        self._weights = tuple(weights)

    def close(self) -> None:
        """Does nothing: the environment ends with its worker."""

    async def _do(self, name: str, *arguments: Any) -> Any:
        """Make one more call; a restarted worker first repeats the earlier calls of the episode."""
        calls = [*self._calls, EpisodeRequest(name, arguments, self._weights)]
        with _errors_of_workers():
            answer: EpisodeReport = await self._actor.advance.remote(
                self._home, self._part, self._number, self._episode, calls
            )
        self._calls, self._outcome = calls, answer.outcome
        if answer.report is not None:
            self._workers.tell(answer.report)
        return answer.value


def _on_cpu(trial: Trial) -> Trial:
    """The same trial with networks that a machine without an accelerator can load."""
    policy = trial.policy
    if not isinstance(policy, nn.Module) or device_of(policy) == CPU:
        return trial
    return replace(trial, policy=copy.deepcopy(policy).to(CPU))


@contextmanager
def _errors_of_workers() -> Iterator[None]:
    """Raise a worker's own error unchanged; raise a `WorkerError` if the worker itself failed."""
    import ray.exceptions

    try:
        yield
    except ray.exceptions.RayTaskError as error:
        raise error.cause from None
    except ray.exceptions.RayError as error:
        said = " ".join(str(error).split())
        raise WorkerError(f"a worker was lost and could not be restarted (limit: {RESTARTS}): {said[:300]}") from error
