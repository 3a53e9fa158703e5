"""Environments in worker processes of a Ray cluster, for a learner that stays one process.

>>> with Workers(lambda count: MySite(), count=4) as workers:
...     result = train(workers.envs("train"), config, episodes=1000)
...     evaluate_each(result.policy, workers.envs("test"), range(500), write)

In training the learner acts, and its workers step, many environments each. A test episode is played as a whole where
its environment is, with weights that are sent there once per test. Whichever worker played what, results are those of
one process. A worker that dies is started again by Ray, where there is room, and does again what it had not finished.

Needs Ray: `pip install 'econ-bne[ray]'`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from numpy.typing import ArrayLike

from econ_agents.equilibrium import Outcome
from econ_agents.errors import WorkerError
from econ_agents.joint_env import Array, JointEnv, JointTransition
from econ_agents.trial import EpisodeResult, Trial
from econ_agents.workers.ray_setup import find_ray
from econ_agents.workers.worker import About, EpisodeReport, EpisodeRequest, Home, Site, Worker

if TYPE_CHECKING:
    from ray import ObjectRef

Actor = Any
"""Ray's handle of a `Worker` elsewhere, whose methods have a `remote` that returns a reference."""

RESTARTS = 20
"""Times that a worker may die before the run gives up."""


class Workers:
    """Worker processes; a context that starts and ends them.

    Args:
        make_site: Called with the number of workers once Ray is there; gives what they work with.
        count: How many; by default one for each processor of the cluster but one, at most 8.
        address: Of a cluster to join, `auto` for the one that this machine belongs to. `local` starts one here, which
            listens on the loopback address only and ends with the workers. By default what the environment variable
            `RAY_ADDRESS` says, or `local`.
        on_report: Called with what the site reports of each episode of training, when it has ended.

    Raises:
        WorkerError: Ray is not installed, or the cluster can't be reached or has too few processors.

    Attributes:
        actors: The workers' Ray actors.
        site: What they work with.
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
        """A factory of environments of a part, each in the next worker in turn.

        It raises `WorkerError` if the workers' environments are not alike, and what a worker raises that has none.
        """
        return lambda: self._make_env(part)

    def processes(self) -> list[int]:
        """Process ids of the workers."""
        import ray

        with _errors_of_workers():
            return list(ray.get([actor.process.remote() for actor in self.actors]))

    def place(self, trial: Trial) -> tuple[int, ObjectRef[Trial]]:
        """A trial's number, and where workers get it; it is put there once."""
        if self._trial is None or self._trial[0] is not trial:
            import ray

            self._trial = trial, next(self._sent), ray.put(trial)
        return self._trial[1:]

    def tell(self, report: Any) -> None:
        """Hand on what was reported of an episode of training."""
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
                        f"workers differ: {one} here and {other} there; give all machines the same packages and models"
                    )
        return first

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


class RemoteEnv(JointEnv):
    """A joint environment that stands for one in a worker; made by `Workers.envs`."""

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

    async def play(self, trial: Trial, problem: int, seed: int) -> tuple[EpisodeResult, Any]:
        """A test episode, played in the worker, and what its site reports."""
        number, place = self._workers.place(trial)
        with _errors_of_workers():
            # A reference inside a list is passed on as it is: the worker takes the trial only if it has it not yet.
            result, report = await self._actor.play.remote(
                self._home, self._part, self._weights, number, [place], problem, seed
            )
        return result, report

    async def areset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Array, dict[str, Any]]:
        """As in `JointEnv`; a seed must be given, by which the episode can be begun again.

        Raises:
            WorkerError: There is no seed.
        """
        if seed is None:
            raise WorkerError("an environment in a worker needs a seed at each reset: it may have to be begun again")
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
        """Always: there are coroutines only."""
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
        """Nothing: it ends with its worker."""

    async def _do(self, name: str, *arguments: Any) -> Any:
        """Have one more call made, after those of the episode that a worker which died takes with it."""
        calls = [*self._calls, EpisodeRequest(name, arguments, self._weights)]
        with _errors_of_workers():
            answer: EpisodeReport = await self._actor.advance.remote(
                self._home, self._part, self._number, self._episode, calls
            )
        self._calls, self._outcome = calls, answer.outcome
        if answer.report is not None:
            self._workers.tell(answer.report)
        return answer.value


@contextmanager
def _errors_of_workers() -> Iterator[None]:
    """Raise what a worker raised as it was there, and what happened to a worker as a `WorkerError`."""
    import ray.exceptions

    try:
        yield
    except ray.exceptions.RayTaskError as error:
        raise error.cause from None
    except ray.exceptions.RayError as error:
        said = " ".join(str(error).split())
        raise WorkerError(f"a worker was lost for good, after {RESTARTS} restarts at most: {said[:300]}") from error
