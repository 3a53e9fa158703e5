"""Chooses each method's number of samples or rounds, so that its cost matches that of ECON with BNE."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Literal

import numpy as np

from econ_agents.concurrency import all_or_none
from econ_env.app.compare.match_units import Match, match_units
from econ_env.app.compare.method_names import BUILT_IN, MethodMaker, MethodName
from econ_env.app.compare.overview import REFERENCE
from econ_env.app.runs.folder import RunFolder
from econ_env.methods import Answer, Method
from econ_env.records import Problem, Usage

PROBE_PROBLEMS = 8
"""Problems on which costs are measured to match a budget: the first ones, and their answers are reused."""

Measure = Literal["tokens", "calls"]

Asked = tuple[Answer, float]
"""A judged answer, and the seconds it took."""


class Matching:
    """Matches the budgets of the methods in a comparison.

    Args:
        maker: Makes methods.
        folder: Holds the rows so far, and the choices of an earlier part of the run.
        measure: The cost to match to the reference's, for methods without a fixed number; `None` uses the defaults.
        problems: Problems to measure costs on.
        seed: Seed of these measurements.
        ask: Lets a method answer a problem with a seed.
        in_flight: How many of the given number of problems may run at once.

    Attributes:
        told: The chosen number for each matched method, with the measured costs.
    """

    def __init__(
        self,
        maker: MethodMaker,
        folder: RunFolder,
        measure: Measure | None,
        problems: Sequence[Problem],
        seed: int,
        ask: Callable[[Method, Problem, int], Awaitable[Asked]],
        in_flight: Callable[[int], int],
    ) -> None:
        self.told: dict[str, dict[str, Any]] = dict(folder.earlier.get("matching", {}))
        self._maker, self._folder, self._measure = maker, folder, measure
        self._problems, self._seed, self._ask, self._in_flight = problems, seed, ask, in_flight
        self._probed: dict[tuple[str, int | None, int, str], Asked] = {}

    async def units(self, name: MethodName) -> int | None:
        """Samples or rounds of a method: as in its name, as earlier in this run, matched, or the default."""
        if name.base not in BUILT_IN or not (name.open or name.units):
            return None
        earlier = next(self._folder.read_rows(name.key), None)
        if earlier is not None:
            return int(earlier["units"])
        if not name.open:
            return name.units
        if self._measure is None:
            return self._maker.default_units(name)
        if name.key in self.told:
            return int(self.told[name.key]["units"])
        match = await self._match(name, self._measure)
        self.told[name.key] = {
            "by": self._measure,
            "unit": "rounds" if name.base == "debate" else "samples",
            "units": match.units,
            "target": match.target,
            "probes": {str(units): cost for units, cost in match.probes.items()},
            "ratio": match.ratio,
        }
        return match.units

    def take(self, key: str, units: int | None, seed: int, problem: Problem) -> Asked | None:
        """The answer from probing, removed so that it is used once; `None` if there is none."""
        return self._probed.pop((key, units, seed, problem.id), None)

    def settle(self, key: str) -> None:
        """Recompute a matched method's cost ratio to the reference, from all rows instead of the probes."""
        if key in self.told:
            measure = self.told[key]["by"]
            self.told[key]["ratio"] = self._spent(key, measure) / self._spent(REFERENCE, measure)

    async def _match(self, name: MethodName, measure: Measure) -> Match:
        async def cost(units: int) -> float:
            method = self._maker.make(name, units)

            async def probe(problem: Problem) -> float:
                answer, seconds = await self._ask(method, problem, self._seed)
                self._probed[name.key, units, self._seed, problem.id] = answer, seconds
                usage = sum(answer.usage.values(), Usage())
                return usage.tokens if measure == "tokens" else usage.calls

            waiting = iter(self._problems)
            costs: list[float] = []

            async def worker() -> None:
                for problem in waiting:
                    costs.append(await probe(problem))

            await all_or_none(worker() for _ in range(self._in_flight(len(self._problems))))
            return float(np.mean(costs))

        return await match_units(cost, self._spent(REFERENCE, measure), growth=2.0 if name.base == "debate" else 16.0)

    def _spent(self, key: str, measure: Measure) -> float:
        """Mean cost per answer of a method so far."""
        rows = list(self._folder.read_rows(key))
        return float(np.mean([sum(row["tokens"].values()) if measure == "tokens" else row["calls"] for row in rows]))
