"""Makes the known-optimum task: a simulated team, and exact accuracies to compare a learner with.

The team is `SimulatedLLM` on a `Landscape`: n executors answer, the coordinator takes the majority. The chance that the
team is right is therefore known for every profile of controls, and so are

* the oracle, which knows each problem's kind and plays the best profile for it,
* the best fixed controls, which ignore the problem: the same for all executors, or different for each,
* random control, where each executor draws (T, p) uniformly within the bounds,
* the true best-response gap of any profile.

Use it to see whether a learner learns: train it on `problems` with `llm`, and compare its accuracy with these.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property, partial
from itertools import combinations_with_replacement
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from econ_env.config import SamplingConfig
from econ_env.errors import ConfigError
from econ_env.records import Problem
from econ_env.simulation.kind_problems import KINDS, known_optimum_problems
from econ_env.simulation.landscape import FloatArray, Landscape
from econ_env.simulation.model import SimulatedLLM
from econ_env.simulation.votes import coupled_counts, independent_counts, win_chance

_PLACES = ((0.2, 0.2), (0.8, 0.8), (0.8, 0.2), (0.2, 0.8), (0.5, 0.5), (0.5, 0.0))
"""Where `known_optimum` puts the peaks of its kinds, as shares of the bounds of T and p."""
_GRID = 33
_ZOOMS = 7
_DELTA = 1e-5
_MOST_STARTS = 6


class Optimum(NamedTuple):
    """The best result in a family of profiles."""

    accuracy: float
    """Chance that the team solves a problem, averaged over the problems."""
    profiles: dict[str, FloatArray]
    """The profile for each kind, shape (N, 2)."""


class Gains(NamedTuple):
    """What each executor could gain by changing its own controls alone, all others held fixed."""

    team: FloatArray
    """Gain in the chance that the team is right, shape (N,), >= 0."""
    own: FloatArray
    """Gain in the chance that its own answer is right, shape (N,), >= 0."""

    @property
    def team_gap(self) -> float:
        """Largest gain for the team if one executor deviates; 0 at an equilibrium."""
        return float(self.team.max())

    @property
    def own_gap(self) -> float:
        """Largest gain of one executor for its own answer if it deviates."""
        return float(self.own.max())


class KnownOptimum:
    """A simulated team, its problems, and the exact numbers of both.

    With `coupling` 0, all numbers are exact up to rounding. With coupling, the error of accuracies is below 1e-8 for up
    to three executors and about 1e-3 for more, and that of `random_control` is about 1e-3; the oracle of nine executors
    takes a minute or two instead of one second.

    The numbers hold for a flat team: with more than four executors, make the environment with `cluster_size=0`.

    Examples:
        >>> task = known_optimum(n_problems=100)
        >>> 0.98 < task.oracle.accuracy < 0.99
        True

    Args:
        problems: The team's problems; at least one.
        landscape: How likely an executor is right.
        n_agents: Number of executors N.
        latency: Seconds that each call of `llm` takes.

    Attributes:
        llm: The simulated model; pass it to the environment, or its `serve_reply` to an HTTP server.
        kind_shares: Share of each kind among the problems.

    Raises:
        ConfigError: There are no problems, or two of them contradict each other.
    """

    def __init__(
        self, problems: Iterable[Problem], landscape: Landscape, n_agents: int = 3, latency: float = 0.0
    ) -> None:
        self.problems = tuple(problems)
        if not self.problems:
            raise ConfigError("the known-optimum task needs at least one problem")
        self.landscape = landscape
        self.n_agents = n_agents
        self.llm = SimulatedLLM(self.problems, landscape, latency=latency)
        counts = Counter(problem.kind for problem in self.problems)
        self.kind_shares = {kind: count / len(self.problems) for kind, count in counts.items()}

    def chance(self, kind: str, controls: npt.ArrayLike) -> FloatArray:
        """Chance that one executor is right; controls of shape (..., 2) give shape (...)."""
        return self.landscape.chance(kind, controls)

    def team_accuracy(self, kind: str, profile: npt.ArrayLike) -> FloatArray:
        """Chance that the team's commitment is right.

        Args:
            kind: The problem's kind.
            profile: Each executor's (T, p), shape (..., N, 2).

        Returns:
            Shape (...).
        """
        e = np.asarray(profile, dtype=np.float64)
        chances = self.chance(kind, e)
        if self.landscape.coupling > 0.0:
            same = np.eye(e.shape[-2], dtype=bool)
            correlation = self.landscape.correlation(e[..., :, None, :], e[..., None, :, :])
            law = coupled_counts(chances, np.where(same, 1.0, correlation))
        else:
            law = independent_counts(chances)
        accuracy: FloatArray = law @ np.array(win_chance(e.shape[-2], self.landscape.wrong_answers))
        return accuracy

    def accuracy(self, profiles: Mapping[str, npt.ArrayLike]) -> float:
        """Team accuracy over the problems when each kind is played with its own profile of shape (N, 2)."""
        return sum(share * float(self.team_accuracy(kind, profiles[kind])) for kind, share in self.kind_shares.items())

    def payoff(self, kind: str, profile: npt.ArrayLike, own_weight: float = 0.0) -> FloatArray:
        """Each executor's expected payoff: (1 - own_weight) * team right + own_weight * itself right.

        Args:
            kind: The problem's kind.
            profile: Each executor's (T, p), shape (..., N, 2).
            own_weight: In [0, 1]; 0 is the common payoff, 1 is each executor's own.

        Returns:
            Shape (..., N).
        """
        team = self.team_accuracy(kind, profile)[..., None]
        return (1.0 - own_weight) * team + own_weight * self.chance(kind, profile)

    def true_gap(self, kind: str, profile: npt.ArrayLike) -> Gains:
        """What each executor could gain by deviating alone, computed by the simulator and not by a critic.

        Args:
            kind: The problem's kind.
            profile: Each executor's (T, p), shape (N, 2).
        """
        e = np.asarray(profile, dtype=np.float64)
        now = float(self.team_accuracy(kind, e))
        team = np.zeros(len(e))
        for agent in range(len(e)):
            deviation = partial(self._deviation, kind, e, agent)
            team[agent] = max(0.0, float(deviation(self._best_control(deviation))) - now)
        return Gains(team, self.landscape.peak - self.chance(kind, e))

    @cached_property
    def oracle(self) -> Optimum:
        """The best profile for each kind: everybody at the peak, or spread around it when coupled."""
        profiles = {
            kind: self._best_profile([self._all(self.landscape.peak_of(kind))], {kind: 1.0})
            for kind in self.kind_shares
        }
        return Optimum(self.accuracy(profiles), profiles)

    @cached_property
    def best_fixed(self) -> Optimum:
        """The best single control, the same for all executors and all kinds."""
        best = self._best_control(lambda controls: self._over_kinds(self._all(controls), self.kind_shares))
        return self._fixed(self._all(best))

    @cached_property
    def best_fixed_profile(self) -> Optimum:
        """The best fixed controls, one for each executor, the same for all kinds: at least as good as `best_fixed`."""
        peaks = [self.landscape.peak_of(kind) for kind in self.kind_shares]
        starts = [np.array(choice) for choice in combinations_with_replacement(peaks, self.n_agents)]
        starts.append(next(iter(self.best_fixed.profiles.values())))
        return self._fixed(self._best_profile(starts, self.kind_shares))

    @cached_property
    def random_control(self) -> float:
        """Expected team accuracy when every executor draws its own (T, p) uniformly within the bounds."""
        from scipy.special import ndtr  # type: ignore[import-untyped]  # scipy ships no type information
        from scipy.stats import qmc  # type: ignore[import-untyped]  # same

        low, high = self.landscape.bounds
        if self.landscape.coupling > 0.0:
            draws = qmc.Sobol(2 * self.n_agents, scramble=False).random(2**12) + 0.5 / 2**12
            profiles = low + (high - low) * draws.reshape(-1, self.n_agents, 2)
            return float(self._over_kinds(profiles, self.kind_shares).mean())
        votes = np.array(win_chance(self.n_agents, self.landscape.wrong_answers))
        total = 0.0
        for kind, share in self.kind_shares.items():
            # Independent draws: the team is as good as one in which all executors have the mean chance.
            peak, widths = self.landscape.peak_of(kind), self.landscape.widths
            mass = np.sqrt(2.0 * np.pi) * widths * (ndtr((high - peak) / widths) - ndtr((low - peak) / widths))
            height = self.landscape.peak - self.landscape.floor
            mean = self.landscape.floor + height * float((mass / (high - low)).prod())
            total += share * float(independent_counts(np.full(self.n_agents, mean)) @ votes)
        return total

    def _all(self, controls: FloatArray) -> FloatArray:
        """The same controls (..., 2) for all executors: (..., N, 2)."""
        return np.repeat(controls[..., None, :], self.n_agents, axis=-2)

    def _over_kinds(self, profile: FloatArray, shares: Mapping[str, float]) -> FloatArray:
        """Accuracy of one profile (..., N, 2) over kinds of these shares: (...)."""
        parts = [share * self.team_accuracy(kind, profile) for kind, share in shares.items()]
        total: FloatArray = np.sum(parts, axis=0)
        return total

    def _deviation(self, kind: str, profile: FloatArray, agent: int, controls: FloatArray) -> FloatArray:
        """Team accuracy when one executor of the profile (N, 2) plays each of the controls (..., 2) instead."""
        changed = np.broadcast_to(profile, (*controls.shape[:-1], *profile.shape)).copy()
        changed[..., agent, :] = controls
        return self.team_accuracy(kind, changed)

    def _fixed(self, profile: FloatArray) -> Optimum:
        profiles = dict.fromkeys(self.kind_shares, profile)
        return Optimum(self.accuracy(profiles), profiles)

    def _best_control(self, value: Callable[[FloatArray], FloatArray]) -> FloatArray:
        """Where a function of (T, p) is largest: a grid over the bounds, then finer grids around its best point."""
        low, high = self.landscape.bounds
        bottom, top = low, high
        for _ in range(_ZOOMS):
            axes = [np.linspace(bottom[axis], top[axis], _GRID) for axis in (0, 1)]
            points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 2)
            best: FloatArray = points[int(np.argmax(value(points)))]
            reach = 2.0 * (top - bottom) / (_GRID - 1)
            bottom, top = np.maximum(best - reach, low), np.minimum(best + reach, high)
        return best

    def _best_profile(self, starts: list[FloatArray], shares: Mapping[str, float]) -> FloatArray:
        """The profile (N, 2) with the best accuracy over kinds of these shares, by ascent from several starts.

        Coupled executors with equal controls are at a saddle point, so rings around each start are also tried.
        """
        from scipy.optimize import minimize  # type: ignore[import-untyped]  # scipy ships no type information

        (low, high), widths, shape = self.landscape.bounds, self.landscape.widths, (self.n_agents, 2)

        def loss(flat: FloatArray) -> tuple[float, FloatArray]:
            """Negative accuracy at a profile in widths, and its gradient by central differences."""
            nearby = (flat + moves).reshape(-1, *shape) * widths
            values = -self._over_kinds(nearby, shares)
            return float(values[0]), (values[1 : 1 + flat.size] - values[1 + flat.size :]) / (2.0 * _DELTA)

        unit = _DELTA * np.eye(2 * self.n_agents)
        moves = np.concatenate([np.zeros((1, len(unit))), unit, -unit])
        if self.landscape.coupling > 0.0:
            starts = starts + [start + ring * widths for start in starts for ring in _rings(self.n_agents)]
        promising = sorted(((np.clip(start, low, high) / widths).ravel() for start in starts), key=lambda s: loss(s)[0])
        bounds = list(zip(low / widths, high / widths, strict=True)) * self.n_agents
        runs = [minimize(loss, start, method="L-BFGS-B", jac=True, bounds=bounds) for start in promising[:_MOST_STARTS]]
        best = min(runs, key=lambda run: run.fun)
        profile: FloatArray = np.clip(best.x.reshape(shape) * widths, low, high)
        return profile


def known_optimum(
    n_problems: int = 200,
    n_agents: int = 3,
    kinds: int = 2,
    seed: int = 0,
    coupling: float = 0.0,
    sampling: SamplingConfig | None = None,
    latency: float = 0.0,
) -> KnownOptimum:
    """Make the standard task: kinds that differ in wording, with peaks far apart.

    Args:
        n_problems: How many problems; kinds take turns.
        n_agents: Number of executors.
        kinds: How many kinds, 1 to 6.
        seed: Which problems.
        coupling: How much executors with equal controls fail together, in [0, 0.95].
        sampling: Bounds of the controls and the meaning of p, if not the defaults; the environment needs the same.
        latency: Seconds that each call takes.

    Raises:
        ConfigError: There are not that many kinds or problems.
    """
    problems = known_optimum_problems(n_problems, kinds=kinds, seed=seed)
    sampling = SamplingConfig() if sampling is None else sampling
    (t_min, t_max), (p_min, p_max) = (sampling.temperature_min, sampling.temperature_max), sampling.p_bounds
    peaks = {
        kind: (t_min + t_share * (t_max - t_min), p_min + p_share * (p_max - p_min))
        for kind, (t_share, p_share) in zip(KINDS[:kinds], _PLACES, strict=False)
    }
    return KnownOptimum(problems, Landscape(peaks=peaks, sampling=sampling, coupling=coupling), n_agents, latency)


def _rings(n_agents: int) -> list[FloatArray]:
    """Executors spread evenly on circles of several radii and turns, in widths, each of shape (N, 2)."""
    angles = 2.0 * np.pi * np.arange(n_agents) / n_agents
    return [
        radius * np.stack([np.cos(angles + turn), np.sin(angles + turn)], axis=-1)
        for radius in (0.1, 0.3, 0.6)
        for turn in (0.0, 0.5 * np.pi)
    ]
