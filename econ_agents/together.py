"""Decides for many episodes at once: controls, responses and gaps of all that wait are computed in one forward pass.

Each pass has the same number of rows, missing ones filled up. So a row takes the same path through the same kernels
whichever rows stand beside it, and an episode's numbers do not depend on who shared its batch. Whether they depend on
the row's place is tried out on this processor before the first pass; if they do, passes have one row.
Axes: R rows of a pass, N agents, D observation, A controls.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor

from econ_agents.config import EquilibriumConfig
from econ_agents.device import device_of
from econ_agents.equilibrium import Acts, Refines, SimultaneousResponses, make_solver
from econ_agents.responses import BestResponse, best_response, respond

logger = logging.getLogger(__name__)

AGENTS_AT_ONCE = 24
"""Rows of a pass times agents, about: enough for a processor to be busy, few enough for one episode not to wait."""

TRIALS = 8
"""Rows of noise that are computed at all places of a pass before the first one."""

Row = tuple[Tensor, ...]
"""Tensors with a leading axis of one."""
Compute = Callable[..., Row]
"""From stacked tensors of R rows to tensors of R rows."""


def rows_of_a_pass(n_agents: int) -> int:
    """R for a team of this size: a power of two, but not 2.

    Products with a vector take rows four at a time on some processors, and sum up the rest in another order.
    """
    rows = 1 << max(0, (AGENTS_AT_ONCE // n_agents).bit_length() - 1)
    return 4 if rows == 2 else rows


@dataclass
class _Waiting:
    """Rows of one kind that wait for their pass."""

    compute: Compute
    rows: list[Row] = field(default_factory=list)
    futures: list[asyncio.Future[Row]] = field(default_factory=list)


class Together:
    """A policy, shared by all episodes in flight on one event loop.

    Networks compute in a thread of their own. Any other policy is called at once, a row at a time: it may draw random
    numbers, and takes no time worth sharing.

    Args:
        policy: Chooses controls; for responses and gaps it must have `game`.
        config: Responses.
    """

    def __init__(self, policy: Acts, config: EquilibriumConfig) -> None:
        self._policy, self._config = policy, config
        self._device = device_of(policy)
        self._solver = make_solver(config.solver)
        self._waiting: dict[str, _Waiting] = {}
        self._sizes: dict[str, int] = {}
        self._task: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, "econ-agents-policy") if isinstance(policy, torch.nn.Module) else None

    async def propose(self, obs_1ND: Tensor) -> Tensor:
        """The profile [1, N, A] that the policy chooses."""
        (profile_1NA,) = await self._ask("propose", self._propose, (obs_1ND,))
        return profile_1NA

    async def respond(self, obs_1ND: Tensor, trajectory: Sequence[Tensor]) -> Tensor:
        """The solver's next profile [1, N, A] in the game at these observations, after these profiles."""
        if isinstance(self._solver, SimultaneousResponses):
            number = len(trajectory) - 1
            kind = f"respond at {self._config.logit_temperature(number)}"  # a pass has one temperature
            (response_1NA,) = await self._ask(kind, partial(self._respond, number), (obs_1ND, trajectory[-1]))
            return response_1NA
        # Another solver may look at the whole trajectory, and trajectories differ in length.
        if self._thread is None:
            return self._solve(obs_1ND, tuple(trajectory))
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._solve, obs_1ND, tuple(trajectory))

    async def gaps(self, obs_1ND: Tensor, first_1NA: Tensor, last_1NA: Tensor) -> tuple[BestResponse, BestResponse]:
        """The best deviations from the first and the last profile, in the game at these observations."""
        if torch.equal(first_1NA, last_1NA):
            last = BestResponse(*await self._ask("gap", self._gap, (obs_1ND, last_1NA)))
            return last, last
        found = await self._ask("gaps", self._gaps, (obs_1ND, first_1NA, last_1NA))
        return BestResponse(*found[:3]), BestResponse(*found[3:])

    def close(self) -> None:
        """End the thread, if there is one."""
        if self._thread is not None:
            self._thread.shutdown(wait=False)

    async def _ask(self, kind: str, compute: Compute, row: Row) -> Row:
        if self._thread is None:
            return _padded(compute, [row], 1, self._device)
        waiting = self._waiting.setdefault(kind, _Waiting(compute))
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
            kind = next(iter(self._waiting))
            waiting = self._waiting.pop(kind)
            size = self._sizes.get(kind)
            if size is None:
                try:
                    size = await loop.run_in_executor(
                        self._thread, _size, waiting.compute, waiting.rows[0], self._device
                    )
                except Exception as error:
                    _fail(waiting.futures, error)
                    continue
                self._sizes[kind] = size
            for start in range(0, len(waiting.rows), size):
                rows, futures = waiting.rows[start : start + size], waiting.futures[start : start + size]
                try:
                    computed = await loop.run_in_executor(
                        self._thread, _padded, waiting.compute, rows, size, self._device
                    )
                except Exception as error:
                    _fail(futures, error)
                    continue
                for place, future in enumerate(futures):
                    if not future.done():  # its episode may have been cancelled
                        future.set_result(tuple(part[place : place + 1] for part in computed))

    def _propose(self, obs_RND: Tensor) -> Row:
        return (self._policy.propose(obs_RND),)

    def _respond(self, number: int, obs_RND: Tensor, profile_RNA: Tensor) -> Row:
        return (respond(self._game(obs_RND), profile_RNA, self._config, number),)

    def _gap(self, obs_RND: Tensor, profile_RNA: Tensor) -> Row:
        return best_response(self._game(obs_RND), profile_RNA, self._config)

    def _gaps(self, obs_RND: Tensor, first_RNA: Tensor, last_RNA: Tensor) -> Row:
        game = self._game(obs_RND)
        return (*best_response(game, first_RNA, self._config), *best_response(game, last_RNA, self._config))

    @torch.no_grad()
    def _solve(self, obs_1ND: Tensor, trajectory: tuple[Tensor, ...]) -> Tensor:
        moved = tuple(profile_1NA.to(self._device) for profile_1NA in trajectory)
        return self._solver.respond(self._game(obs_1ND.to(self._device)), moved, self._config).cpu()

    def _game(self, obs_RND: Tensor) -> Any:
        return cast(Refines, self._policy).game(obs_RND)


def _fail(futures: Sequence[asyncio.Future[Row]], error: Exception) -> None:
    """Let each waiting episode raise an error."""
    for future in futures:
        if not future.done():
            future.set_exception(error)


def _size(compute: Compute, row: Row, device: torch.device) -> int:
    """R for rows of these shapes, 1 if equal rows at different places get different numbers."""
    size = rows_of_a_pass(row[0].shape[1])
    random = torch.Generator().manual_seed(0)
    for _ in range(TRIALS if size > 1 else 0):
        noise = tuple(torch.rand(part.shape, generator=random).mul(2).sub(1).to(part.dtype) for part in row)
        computed = _padded(compute, [noise], size, device)
        if not all(torch.equal(part, part[:1].expand_as(part)) for part in computed):
            logger.debug("rows of a pass get different numbers at different places here: passes have one row")
            return 1
    return size


@torch.no_grad()
def _padded(compute: Compute, rows: Sequence[Row], size: int, device: torch.device) -> Row:
    """Stack rows, fill up to `size` with the first one, compute on a device; the result is on the CPU."""
    filled = [*rows, *[rows[0]] * (size - len(rows))]
    computed = compute(*(torch.cat(parts).to(device) for parts in zip(*filled, strict=True)))
    return tuple(part.cpu() for part in computed)
