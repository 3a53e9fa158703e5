"""Refines a profile towards an equilibrium: rounds of a team, with damped simultaneous responses between them.

With K rounds the team plays e_0, sees the outcome, moves to e_1 by one response, plays e_1, and so on up to e_{K-1}.
So K rounds are K plays and K - 1 responses; K = 1 is one play without refinement. `refine` without `ask` plays no team:
it makes K responses in the given game.

The state machine is `Refiner`. It calls no team itself, so blocking, asynchronous and batched callers can share it.
Axes: B batch, N agents, A controls in [-1, 1], K rounds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor

from econ_agents.config import EquilibriumConfig
from econ_agents.errors import ConfigError, TeamError
from econ_agents.plugins import SOLVERS, load_plugin, made_by
from econ_agents.responses import BestResponse, Game, LogitResponse, Solver, best_response, logit_response, respond

__all__ = [
    "Acts",
    "Ask",
    "Asked",
    "BestResponse",
    "EquilibriumConfig",
    "Game",
    "Hears",
    "LogitResponse",
    "Outcome",
    "RefinementResult",
    "Refiner",
    "Refines",
    "SimultaneousResponses",
    "Solver",
    "StopReason",
    "best_response",
    "make_solver",
    "refine",
]

StopReason = Literal["commitment_repeated", "small_change", "oscillation", "max_rounds", "all_invalid", "silence"]
"""Why refinement ended: the answer repeated, no agent would move, a cycle was found, all rounds were used, the last
round gave no valid reply, or nobody spoke."""


class Acts(Protocol):
    """Chooses controls: a trained policy, or a baseline."""

    def propose(self, obs_BND: Tensor) -> Tensor:
        """The profile [B, N, A] in [-1, 1] for these observations."""


@runtime_checkable
class Hears(Acts, Protocol):
    """A policy that also tells what its agents expect, where they may stay silent or weigh their reply."""

    def hear(self, obs_BND: Tensor) -> tuple[Tensor, Tensor]:
        """How likely each agent's standing reply is right, and what the team would gain if it alone spoke next.

        Both [B, N]; the price of the call is taken off the gain. NaN where nothing is expected.
        """


@runtime_checkable
class Listens(Acts, Protocol):
    """A policy that tells whether its controls follow from what it hears; one that does not say so is taken as not."""

    @property
    def listens(self) -> bool:
        """Whether what was said decides controls."""


class Refines(Acts, Protocol):
    """A policy that also gives its agents' payoffs, so that its profile can be refined."""

    def game(self, obs_BND: Tensor) -> Game:
        """The game at these observations."""


class Outcome(Protocol):
    """Outcome of one round of a team."""

    @property
    def answer(self) -> str | None:
        """The commitment's answer; None if none could be read."""

    @property
    def failed(self) -> bool:
        """Whether no valid reply came back."""


class Asked(NamedTuple):
    """Result of a round played by the team."""

    game: Game
    """The game after the round."""
    outcomes_B: Sequence[Outcome | None]
    """One per row; None for rows that were not played."""


Ask = Callable[[Tensor, Tensor], Asked]
"""Plays a round: takes the profiles [B, N, A] and a mask [B] of the rows to play."""


@dataclass(frozen=True)
class RefinementResult:
    """The last profiles of a refinement, and the steps to them."""

    profile_BNA: Tensor
    """The last profile played."""
    trajectory_KBNA: Tensor
    """The profile of each round; a row that stopped repeats its last one."""
    residuals: tuple[tuple[float, ...], ...]
    """Per row, the largest move of any control that each response proposed (the last one may not have been made)."""
    rounds: tuple[int, ...]
    """Per row, how many profiles were played."""
    stop_reasons: tuple[StopReason, ...]
    """Per row, why it ended."""
    before: BestResponse
    """Best responses to the first profile; its `nash_conv_B` is the gap before."""
    after: BestResponse
    """Best responses to the last profile, in the same game as `before`: the last one seen."""
    mixed: LogitResponse | None
    """Logit responses to the last profile in that game, at the last temperature; None with `response: best`. Where the
    profile is their mean, they are the agents' mixed actions in a quantal response equilibrium."""

    @property
    def converged_B(self) -> Tensor:
        """Rows that ended because no agent would move."""
        return torch.tensor([reason == "small_change" for reason in self.stop_reasons])


class SimultaneousResponses:
    """The built-in solver: all agents move at once to their damped best or logit responses."""

    def respond(self, game: Game, trajectory: Sequence[Tensor], config: EquilibriumConfig) -> Tensor:
        """Apply `responses.respond` to the last profile."""
        return respond(game, trajectory[-1], config, len(trajectory) - 1)


def make_solver(spec: str | Solver) -> Solver:
    """Make the solver that a setting names.

    Args:
        spec: `simultaneous`, the name of a registered solver, `module:attribute`, a solver, or its class.

    Raises:
        ConfigError: The name is unknown, the import fails, or the object has no `respond`.
    """
    if spec == "simultaneous":
        return SimultaneousResponses()
    found = load_plugin(SOLVERS, spec) if isinstance(spec, str) else spec
    solver = made_by(found, f"solver {spec}") if isinstance(found, type) else found
    if not isinstance(solver, Solver):
        raise ConfigError(f"solver {spec}: {type(solver).__name__} has no respond(game, trajectory, config)")
    return solver


class Refiner:
    """Refines a batch of profiles, each row on its own; calls no team itself.

    Until no row is active, repeat: play `profile_BNA` for the rows of `active_B`, pass the outcomes to `observe`, and
    call `respond` if rows are left. Then `profile_BNA` holds the last profile played of each row.

    Args:
        profile_BNA: The first profiles; clipped to [-1, 1].
        config: Responses and stop rules.
        rounds: K, the largest number of rounds of a row; K rounds have K - 1 responses between them.

    Raises:
        TeamError: The profiles do not have three axes.
        ConfigError: The solver could not be loaded.
    """

    def __init__(self, profile_BNA: Tensor, config: EquilibriumConfig, rounds: int) -> None:
        if profile_BNA.ndim != 3:
            raise TeamError(f"a profile must have the shape (batch, agents, controls), got {tuple(profile_BNA.shape)}")
        self.config, self._most = config, rounds
        self._solver = make_solver(config.solver)
        self.trajectory = [profile_BNA.detach().clamp(-1.0, 1.0)]
        rows = len(profile_BNA)
        self.rounds = [0] * rows
        self.residuals: list[list[float]] = [[] for _ in range(rows)]
        self.stop_reasons: list[StopReason | None] = [None] * rows
        self._answers: list[str | None] = [None] * rows

    @property
    def profile_BNA(self) -> Tensor:
        """The profiles to play next, or played last."""
        return self.trajectory[-1]

    @property
    def active(self) -> list[int]:
        """Numbers of the rows that are still active."""
        return [row for row, reason in enumerate(self.stop_reasons) if reason is None]

    @property
    def active_B(self) -> Tensor:
        """Mask [B] of the rows that are still active."""
        return torch.tensor([reason is None for reason in self.stop_reasons], device=self.profile_BNA.device)

    def observe(self, outcomes_B: Sequence[Outcome | None]) -> None:
        """Record a round of the active rows; may stop some of them.

        Args:
            outcomes_B: One per row; those of stopped rows are ignored; None where a round has no outcome.
        """
        for row in self.active:
            outcome = outcomes_B[row]
            answer = None if outcome is None else outcome.answer
            repeated = answer is not None and answer == self._answers[row]
            self._answers[row] = answer
            self.rounds[row] += 1
            if outcome is not None and outcome.failed:
                self.stop_reasons[row] = "all_invalid"
            elif repeated and self.config.stop_when_repeated:
                self.stop_reasons[row] = "commitment_repeated"
            elif self.rounds[row] >= self._most:
                self.stop_reasons[row] = "max_rounds"

    def respond(self, game: Game) -> None:
        """Move the active rows to their responses; rows that would hardly move, or would enter a cycle, stop instead.

        Args:
            game: The game after the last round, for all rows.

        Raises:
            TeamError: The solver's profile has another shape or is not finite.
        """
        self.move(self._solver.respond(game, tuple(self.trajectory), self.config))

    def move(self, proposal_BNA: Tensor) -> None:
        """Move the active rows to a solver's profiles; see `respond`.

        Raises:
            TeamError: The profiles have another shape or are not finite.
        """
        proposal_BNA = proposal_BNA.detach().clamp(-1.0, 1.0)
        if proposal_BNA.shape != self.profile_BNA.shape or not bool(torch.isfinite(proposal_BNA).all()):
            raise TeamError(f"a solver must give finite profiles of the shape {tuple(self.profile_BNA.shape)}")
        residual_B = (proposal_BNA - self.profile_BNA).abs().amax(dim=(1, 2))
        cycling_B = self._returns(proposal_BNA, residual_B).cpu().tolist()
        moves_B = torch.zeros_like(residual_B, dtype=torch.bool)
        number = len(self.trajectory) - 1
        cooling = self.config.logit_temperature(number + 1) != self.config.logit_temperature(number)
        for row in self.active:
            residual = float(residual_B[row])
            self.residuals[row].append(residual)
            if cooling:
                moves_B[row] = True
            elif residual < self.config.convergence_threshold or residual == 0.0:
                self.stop_reasons[row] = "small_change"
            elif cycling_B[row]:
                self.stop_reasons[row] = "oscillation"
            else:
                moves_B[row] = True
        self.trajectory.append(torch.where(moves_B[:, None, None], proposal_BNA, self.profile_BNA))

    def result(self, game: Game) -> RefinementResult:
        """Return the result, with gaps measured in `game`.

        Raises:
            RuntimeError: Some rows are still active.
        """
        reasons = tuple(reason for reason in self.stop_reasons if reason is not None)
        if len(reasons) < len(self.stop_reasons):
            raise RuntimeError(f"rows {self.active} are still active; call observe and respond until none is active")
        after = best_response(game, self.profile_BNA, self.config)
        first_BNA = self.trajectory[0]
        unmoved = torch.equal(first_BNA, self.profile_BNA)
        temperature = self.config.logit_temperature(max(len(self.trajectory) - 2, 0))
        mixed = None
        if temperature is not None:
            mixed = logit_response(game, self.profile_BNA, self.config, temperature)
        return RefinementResult(
            profile_BNA=self.profile_BNA,
            trajectory_KBNA=torch.stack(self.trajectory[: max(self.rounds)]),
            residuals=tuple(map(tuple, self.residuals)),
            rounds=tuple(self.rounds),
            stop_reasons=reasons,
            before=after if unmoved else best_response(game, first_BNA, self.config),
            after=after,
            mixed=mixed,
        )

    def _returns(self, proposal_BNA: Tensor, residual_B: Tensor) -> Tensor:
        """Rows [B] whose proposal is a profile of two or more rounds ago, up to a small share of the proposed move."""
        returns_B = torch.zeros_like(residual_B, dtype=torch.bool)
        window = max(self.config.oscillation_window, 1)
        for earlier_BNA in self.trajectory[-window:-1]:
            distance_B = (proposal_BNA - earlier_BNA).abs().amax(dim=(1, 2))
            returns_B |= distance_B <= self.config.oscillation_tolerance * residual_B
        return returns_B


def refine(
    game: Game, profile_BNA: Tensor, config: EquilibriumConfig, ask: Ask | None = None, *, rounds: int = 3
) -> RefinementResult:
    """Refine profiles by simultaneous damped responses, each row until its own stop rule holds.

    Args:
        game: The game before any round.
        profile_BNA: The first profiles; clipped to [-1, 1].
        config: Responses and stop rules.
        ask: Plays a round and returns the game after it. With it the team plays K rounds, with K - 1 responses between
            them; without it K responses are made in `game`.
        rounds: K, at least 1.

    Returns:
        The last profiles played. A response that stops a row (too small, or part of a cycle) is not made, so each row
        ends at the profile that it played last.

    Raises:
        TeamError: Shapes do not fit, or payoffs are not finite.
    """
    refiner = Refiner(profile_BNA, config, rounds if ask is not None else rounds + 1)
    unasked = [None] * len(profile_BNA)
    while refiner.active:
        if ask is None:
            refiner.observe(unasked)
        else:
            game, outcomes_B = ask(refiner.profile_BNA, refiner.active_B)
            refiner.observe(outcomes_B)
        if refiner.active:
            refiner.respond(game)
    return refiner.result(game)
