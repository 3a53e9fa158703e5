"""Computes controls, responses and gaps for several episodes at once, so that a row's numbers depend on no other row.

Each pass has the same number of rows, missing ones filled up. So a row takes the same path through the same kernels
whichever rows stand beside it. Whether its numbers depend on its place is tried out once for a policy on this
processor, before the first pass; if they do, passes have one row. What a policy tells of replies (`hear`), and controls
that follow from it, are computed a row at a time: their numbers are cut off for most noise, so trying would seldom show
that they depend on the place.
Axes: R rows of a pass, N agents, D observation, A controls, M candidates.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from typing import Any, Literal, Protocol, cast
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from econ_agents.config import EquilibriumConfig
from econ_agents.equilibrium import Acts, Hears, Listens, Refines
from econ_agents.responses import best_response, respond
from econ_agents.responses.game import Game, Screens

logger = logging.getLogger(__name__)

AGENTS_AT_ONCE = 24
"""Rows of a pass times agents, about: enough for a processor to be busy, few enough for one episode not to wait."""

TRIALS = 2
"""Rows of noise that are computed at all places of a pass before the first one. Every payoff of a response is compared,
so one row finds a difference almost surely."""

Row = tuple[Tensor, ...]
"""Tensors with a leading axis of one."""
Kind = Literal["propose", "hear", "respond", "gap", "gaps"]
"""What a pass computes; all passes of a kind have the same number of rows."""


class Compute(Protocol):
    """From stacked tensors of R rows to tensors of R rows."""

    def __call__(self, *stacked: Tensor) -> Row:
        """Compute."""


_tried: WeakKeyDictionary[torch.nn.Module, dict[tuple[Any, ...], int]] = WeakKeyDictionary()
"""Rows of a pass, by policy and by all else that decides which kernels compute it."""


class Passes:
    """What is computed for R rows in one pass.

    Args:
        policy: Chooses controls; for responses and gaps it must have `game`, to be heard `hear`.
        config: Responses.
    """

    def __init__(self, policy: Acts, config: EquilibriumConfig) -> None:
        self._policy, self._config = policy, config

    def compute(self, kind: Kind, number: int = 0) -> Compute:
        """The function for a kind of pass; `number` counts the responses of a decision before this one."""
        kinds = {
            "propose": self._propose,
            "hear": self._hear,
            "respond": partial(self._respond, number),
            "gap": self._gap,
            "gaps": self._gaps,
        }
        return cast(Compute, kinds[kind])

    def game(self, obs_RND: Tensor) -> Game:
        """The policy's game at these observations."""
        return cast(Refines, self._policy).game(obs_RND)

    def _propose(self, obs_RND: Tensor) -> Row:
        return (self._policy.propose(obs_RND),)

    def _hear(self, obs_RND: Tensor) -> Row:
        return cast(Hears, self._policy).hear(obs_RND)

    def _respond(self, number: int, obs_RND: Tensor, profile_RNA: Tensor) -> Row:
        return (respond(self.game(obs_RND), profile_RNA, self._config, number),)

    def _gap(self, obs_RND: Tensor, profile_RNA: Tensor) -> Row:
        return best_response(self.game(obs_RND), profile_RNA, self._config)

    def _gaps(self, obs_RND: Tensor, first_RNA: Tensor, last_RNA: Tensor) -> Row:
        both = best_response(self.game(torch.cat([obs_RND] * 2)), torch.cat([first_RNA, last_RNA]), self._config)
        first, last = zip(*(part.chunk(2) for part in both), strict=True)
        return (*first, *last)


def rows_of_a_pass(n_agents: int) -> int:
    """R for a team of this size: a power of two, but not 2.

    Products with a vector take rows four at a time on some processors, and sum up the rest in another order.
    """
    rows = 1 << max(0, (AGENTS_AT_ONCE // n_agents).bit_length() - 1)
    return 4 if rows == 2 else rows


def rows_tried(
    policy: torch.nn.Module, config: EquilibriumConfig, kind: Kind, shapes: Sequence[torch.Size], device: torch.device
) -> int:
    """R, or 1 if equal rows at different places get different numbers; tried out the first time.

    Args:
        policy: Its networks compute.
        config: Responses.
        kind: Kind of pass.
        shapes: Shapes of the tensors of a row.
        device: Where the networks are.
    """
    key = (kind, repr(config), device, torch.get_num_threads(), *shapes)
    known = _tried.setdefault(policy, {})
    if key not in known:
        known[key] = _try(cast(Acts, policy), config, kind, shapes, device)
    return known[key]


def _try(
    policy: Acts, config: EquilibriumConfig, kind: Kind, shapes: Sequence[torch.Size], device: torch.device
) -> int:
    heard = kind == "hear" or (kind == "propose" and isinstance(policy, Listens) and policy.listens)
    size = 1 if heard else rows_of_a_pass(shapes[0][1])
    random = torch.Generator().manual_seed(0)
    # Further steps of the polish are the first one with other numbers.
    watched = _Watched(policy, config.model_copy(update={"polish_steps": min(1, config.polish_steps)}))
    for _ in range(TRIALS if size > 1 else 0):
        # Both profiles of a row are the same, since they share a pass too.
        noise = {shape: torch.rand(shape, generator=random) * 2 - 1 for shape in dict.fromkeys(shapes)}
        computed = padded(watched.compute(kind), [tuple(noise[shape] for shape in shapes)], size, device)
        seen, watched.seen = watched.seen, []
        if not all(torch.equal(part, part[:1].expand_as(part)) for part in [*computed, *seen]):
            logger.debug("rows of a pass get different numbers at different places here: passes have one row")
            return 1
    return size


@torch.no_grad()
def padded(compute: Compute, rows: Sequence[Row], size: int, device: torch.device) -> Row:
    """Stack rows, fill up to `size` with the first one, compute on a device; the result is on the CPU."""
    filled = [*rows, *[rows[0]] * (size - len(rows))]
    computed = compute(*(torch.cat(parts).to(device) for parts in zip(*filled, strict=True)))
    return tuple(part.cpu() for part in computed)


class _Watched(Passes):
    """Keeps every payoff that is computed on the way to a result, which depends on few of them."""

    def __init__(self, policy: Acts, config: EquilibriumConfig) -> None:
        super().__init__(policy, config)
        self.seen: list[Tensor] = []

    def game(self, obs_RND: Tensor) -> Game:
        """The game, watched."""
        game = super().game(obs_RND)
        return _WatchedScreens(game, self.seen) if isinstance(game, Screens) else _WatchedGame(game, self.seen)


class _WatchedGame:
    def __init__(self, game: Game, seen: list[Tensor]) -> None:
        self._game, self._seen = game, seen

    def utilities(self, profile_BNA: Tensor, candidates_BNMA: Tensor) -> Tensor:
        """Payoffs [B, N, M], kept."""
        self._seen.append(self._game.utilities(profile_BNA, candidates_BNMA))
        return self._seen[-1]


class _WatchedScreens(_WatchedGame):
    def screen(self, profile_BNA: Tensor, candidates_BNMA: Tensor) -> Tensor:
        """Estimates [B, N, M], kept."""
        self._seen.append(cast(Screens, self._game).screen(profile_BNA, candidates_BNMA))
        return self._seen[-1]
