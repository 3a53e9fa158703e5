"""Decides for many episodes at once: controls, responses and gaps of all that wait are computed in one forward pass.

An episode's numbers do not depend on who shared its pass; see `passes`.
Axes: N agents, D observation, A controls.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import torch
from torch import Tensor

from econ_agents.config import EquilibriumConfig
from econ_agents.device import device_of
from econ_agents.equilibrium import Acts, SimultaneousResponses, make_solver
from econ_agents.passes import Compute, Kind, Passes, Row, padded, rows_tried
from econ_agents.responses import BestResponse


@dataclass
class _Waiting:
    """Rows of one kind that wait for their pass."""

    kind: Kind
    compute: Compute
    rows: list[Row] = field(default_factory=list)
    futures: list[asyncio.Future[Row]] = field(default_factory=list)


class Together:
    """A policy, shared by all episodes in flight on one event loop.

    Networks compute in a thread of their own. Any other policy is called at once, a row at a time: it may draw random
    numbers, and takes no time worth sharing.

    Args:
        policy: Chooses controls; for responses and gaps it must have `game`, to be heard `hear`.
        config: Responses.
    """

    def __init__(self, policy: Acts, config: EquilibriumConfig) -> None:
        self._policy, self._config = policy, config
        self._passes = Passes(policy, config)
        self._device = device_of(policy)
        self._solver = make_solver(config.solver)
        self._waiting: dict[tuple[Kind, float | str | None], _Waiting] = {}
        self._sizes: dict[Kind, asyncio.Future[int]] = {}
        self._task: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, "econ-agents-policy") if isinstance(policy, torch.nn.Module) else None

    def prepare(self, kinds: Iterable[Kind], n_agents: int, obs_dim: int, action_dim: int) -> None:
        """Try out now, in the policy's thread, whether a row's place counts; the first pass would wait for it.

        An episode starts with calls to models, so this costs no time then. Nothing happens the second time.

        Args:
            kinds: What will be asked for.
            n_agents: N.
            obs_dim: D.
            action_dim: A.
        """
        if self._thread is None:
            return
        obs, profile = torch.Size((1, n_agents, obs_dim)), torch.Size((1, n_agents, action_dim))
        shapes: dict[Kind, tuple[torch.Size, ...]] = {
            "propose": (obs,),
            "hear": (obs,),
            "respond": (obs, profile),
            "gap": (obs, profile),
            "gaps": (obs, profile, profile),
        }
        for kind in kinds:
            if kind != "respond" or isinstance(self._solver, SimultaneousResponses):
                self._size_of(kind, shapes[kind])

    async def propose(self, obs_1ND: Tensor) -> Tensor:
        """The profile [1, N, A] that the policy chooses."""
        (profile_1NA,) = await self._ask("propose", (obs_1ND,))
        return profile_1NA

    async def hear(self, obs_1ND: Tensor) -> tuple[Tensor, Tensor]:
        """P(right) and gains [1, N] that the policy tells; it must have `hear`."""
        right_1N, gain_1N = await self._ask("hear", (obs_1ND,))
        return right_1N, gain_1N

    async def respond(self, obs_1ND: Tensor, trajectory: Sequence[Tensor]) -> Tensor:
        """The solver's next profile [1, N, A] in the game at these observations, after these profiles."""
        if isinstance(self._solver, SimultaneousResponses):
            number = len(trajectory) - 1
            (response_1NA,) = await self._ask("respond", (obs_1ND, trajectory[-1]), number)
            return response_1NA
        # Another solver may look at the whole trajectory, and trajectories differ in length.
        if self._thread is None:
            return self._solve(obs_1ND, tuple(trajectory))
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._solve, obs_1ND, tuple(trajectory))

    async def gaps(self, obs_1ND: Tensor, first_1NA: Tensor, last_1NA: Tensor) -> tuple[BestResponse, BestResponse]:
        """The best deviations from the first and the last profile, in the game at these observations."""
        if torch.equal(first_1NA, last_1NA):
            last = BestResponse(*await self._ask("gap", (obs_1ND, last_1NA)))
            return last, last
        found = await self._ask("gaps", (obs_1ND, first_1NA, last_1NA))
        return BestResponse(*found[:3]), BestResponse(*found[3:])

    def close(self) -> None:
        """End the thread, if there is one."""
        for size in self._sizes.values():
            size.cancel()  # else its thread would report to a loop that may be closed by then
        if self._thread is not None:
            self._thread.shutdown(wait=False)

    async def _ask(self, kind: Kind, row: Row, number: int = 0) -> Row:
        compute = self._passes.compute(kind, number)
        if self._thread is None:
            return padded(compute, [row], 1, self._device)
        # A pass has one temperature.
        at = self._config.logit_temperature(number) if kind == "respond" else None
        waiting = self._waiting.setdefault((kind, at), _Waiting(kind, compute))
        future: asyncio.Future[Row] = asyncio.get_running_loop().create_future()
        waiting.rows.append(row)
        waiting.futures.append(future)
        if self._task is None or self._task.done():
            self._task = asyncio.ensure_future(self._serve())
        return await future

    async def _serve(self) -> None:
        """Compute until nobody waits; what comes meanwhile shares the next pass."""
        await asyncio.sleep(0)  # whoever is ready at this moment joins
        loop = asyncio.get_running_loop()
        while self._waiting:
            waiting = self._waiting.pop(next(iter(self._waiting)))
            try:
                size = await self._size_of(waiting.kind, [part.shape for part in waiting.rows[0]])
            except Exception as error:
                _fail(waiting.futures, error)
                continue
            for start in range(0, len(waiting.rows), size):
                rows, futures = waiting.rows[start : start + size], waiting.futures[start : start + size]
                try:
                    computed = await loop.run_in_executor(
                        self._thread, padded, waiting.compute, rows, size, self._device
                    )
                except Exception as error:
                    _fail(futures, error)
                    continue
                for place, future in enumerate(futures):
                    if not future.done():  # its episode may have been cancelled
                        future.set_result(tuple(part[place : place + 1] for part in computed))

    def _size_of(self, kind: Kind, shapes: Sequence[torch.Size]) -> asyncio.Future[int]:
        """Rows of a pass of this kind; found out in the policy's thread, unless it is known."""
        known = self._sizes.get(kind)
        if known is None or (known.done() and (known.cancelled() or known.exception() is not None)):
            assert isinstance(self._policy, torch.nn.Module)
            known = asyncio.get_running_loop().run_in_executor(
                self._thread, rows_tried, self._policy, self._config, kind, shapes, self._device
            )
            known.add_done_callback(_noticed)
            self._sizes[kind] = known
        return known

    @torch.no_grad()
    def _solve(self, obs_1ND: Tensor, trajectory: tuple[Tensor, ...]) -> Tensor:
        moved = tuple(profile_1NA.to(self._device) for profile_1NA in trajectory)
        return self._solver.respond(self._passes.game(obs_1ND.to(self._device)), moved, self._config).cpu()


def _noticed(size: asyncio.Future[int]) -> None:
    """Mark an error as seen: it is raised where the size is needed, and it may never be."""
    if not size.cancelled():
        size.exception()


def _fail(futures: Sequence[asyncio.Future[Row]], error: Exception) -> None:
    """Let each waiting episode raise an error."""
    for future in futures:
        if not future.done():
            future.set_exception(error)
