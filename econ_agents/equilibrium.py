"""Refinement of a profile towards an equilibrium: rounds of a team with damped simultaneous responses between them.

What K rounds mean: the team plays e_0, sees what came of it, moves to e_1 by one response, plays e_1, and so on up to
e_{K-1}. K rounds are K plays and K - 1 responses; K = 1 is one play and no refinement. A game that nobody needs to ask
(`refine` without `ask`) makes K responses, since its play costs nothing.

The state machine is `Refiner`; it asks nobody itself, so that blocking, asynchronous and batched drivers share it.
Axes: B batch, N agents, A controls in [-1, 1], K rounds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

import torch
from torch import Tensor

from econ_agents.errors import ConfigError, TeamError
from econ_agents.plugins import SOLVERS, load_plugin, made_by
from econ_agents.responses import BestResponse, EquilibriumConfig, Game, Solver, best_response, respond

__all__ = [
    "Acts",
    "Ask",
    "Asked",
    "BestResponse",
    "EquilibriumConfig",
    "Game",
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

StopReason = Literal["commitment_repeated", "small_change", "oscillation", "max_rounds", "all_invalid"]
"""Why refinement ended: the answer repeated, nobody would move, a cycle was seen, the rounds were used up, or the last
round gave nothing valid."""


class Acts(Protocol):
    """Whatever chooses controls: a trained policy, or a baseline."""

    def propose(self, obs_BND: Tensor) -> Tensor:
        """The profile [B, N, A] in [-1, 1] for what the agents see."""


class Refines(Acts, Protocol):
    """A policy that also knows what its agents are after, so that its profile can be refined."""

    def game(self, obs_BND: Tensor) -> Game:
        """The game as the agents see it."""


class Outcome(Protocol):
    """What came of one round of a team."""

    @property
    def answer(self) -> str | None:
        """The commitment's answer; None if none could be read."""

    @property
    def failed(self) -> bool:
        """Whether nothing valid came back."""


class Asked(NamedTuple):
    """What asking the team gave."""

    game: Game
    """The game as it looks after the round."""
    outcomes_B: Sequence[Outcome | None]
    """One per row; None for rows that were not asked."""


Ask = Callable[[Tensor, Tensor], Asked]
"""Plays a round: takes the profiles [B, N, A] and which rows [B] to ask."""


@dataclass(frozen=True)
class RefinementResult:
    """Where refinement ended, and how it got there."""

    profile_BNA: Tensor
    """The last profile played."""
    trajectory_KBNA: Tensor
    """The profile of each round; a row that stopped repeats its last one."""
    residuals: tuple[tuple[float, ...], ...]
    """Per row, the largest move of any control that each response asked for (the last one may not have been made)."""
    rounds: tuple[int, ...]
    """Per row, how many profiles were played."""
    stop_reasons: tuple[StopReason, ...]
    """Per row, why it ended."""
    before: BestResponse
    """Best responses to the first profile; its `nash_conv_B` is the gap before."""
    after: BestResponse
    """Best responses to the last profile, in the same game as `before`: the last one seen."""

    @property
    def converged_B(self) -> Tensor:
        """Rows that ended because nobody would move."""
        return torch.tensor([reason == "small_change" for reason in self.stop_reasons])


class SimultaneousResponses:
    """The solver of this package: all agents move at once to their damped best, or quantal, responses."""

    def respond(self, game: Game, trajectory: Sequence[Tensor], config: EquilibriumConfig) -> Tensor:
        """As `responses.respond` to the last profile."""
        return respond(game, trajectory[-1], config)


def make_solver(spec: str | Solver) -> Solver:
    """The solver that a setting asks for.

    Args:
        spec: `simultaneous`, the name of one that a package registers, `module:attribute`, a solver, or its class.

    Raises:
        ConfigError: Nothing is called that, it can't be imported, or it has no `respond`.
    """
    if spec == "simultaneous":
        return SimultaneousResponses()
    found = load_plugin(SOLVERS, spec) if isinstance(spec, str) else spec
    solver = made_by(found, f"solver {spec}") if isinstance(found, type) else found
    if not isinstance(solver, Solver):
        raise ConfigError(f"solver {spec}: {type(solver).__name__} has no respond(game, trajectory, config)")
    return solver


class Refiner:
    """Refines a batch of profiles, each row on its own, without asking anybody itself.

    Drive it by turns: play `profile_BNA` for the rows of `active_B`, tell `observe` what came of it, let `respond` move
    on, until no row is active. Then `profile_BNA` holds what each row played last.

    Args:
        profile_BNA: The first profiles; clipped to [-1, 1].
        config: Rounds, responses, stop rules.

    Raises:
        TeamError: The profiles have another shape.
        ConfigError: The solver can't be had.
    """

    def __init__(self, profile_BNA: Tensor, config: EquilibriumConfig) -> None:
        if profile_BNA.ndim != 3:
            raise TeamError(f"a profile must have the shape (batch, agents, controls), got {tuple(profile_BNA.shape)}")
        self.config = config
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
        """Rows that still go on."""
        return [row for row, reason in enumerate(self.stop_reasons) if reason is None]

    @property
    def active_B(self) -> Tensor:
        """Which rows still go on."""
        return torch.tensor([reason is None for reason in self.stop_reasons], device=self.profile_BNA.device)

    def observe(self, outcomes_B: Sequence[Outcome | None]) -> None:
        """Take note of a round of the active rows; may stop some.

        Args:
            outcomes_B: One per row, those of stopped rows unused; None where a round has no outcome.
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
            elif self.rounds[row] >= self.config.max_rounds:
                self.stop_reasons[row] = "max_rounds"

    def respond(self, game: Game) -> None:
        """Move the active rows to their responses; those that would hardly move, or would go in a circle, stop instead.

        Args:
            game: The game after the last round, for all rows.

        Raises:
            TeamError: The solver's profile has another shape or is not finite.
        """
        proposal_BNA = self._solver.respond(game, tuple(self.trajectory), self.config).detach().clamp(-1.0, 1.0)
        if proposal_BNA.shape != self.profile_BNA.shape or not bool(torch.isfinite(proposal_BNA).all()):
            raise TeamError(f"a solver must give finite profiles of the shape {tuple(self.profile_BNA.shape)}")
        residual_B = (proposal_BNA - self.profile_BNA).abs().amax(dim=(1, 2))
        cycling_B = self._returns(proposal_BNA, residual_B).tolist()
        moves_B = torch.zeros_like(residual_B, dtype=torch.bool)
        for row in self.active:
            residual = float(residual_B[row])
            self.residuals[row].append(residual)
            if residual < self.config.convergence_threshold or residual == 0.0:
                self.stop_reasons[row] = "small_change"
            elif cycling_B[row]:
                self.stop_reasons[row] = "oscillation"
            else:
                moves_B[row] = True
        self.trajectory.append(torch.where(moves_B[:, None, None], proposal_BNA, self.profile_BNA))

    def result(self, game: Game) -> RefinementResult:
        """What came of it, its gaps measured in `game`.

        Raises:
            RuntimeError: Some rows still go on.
        """
        reasons = tuple(reason for reason in self.stop_reasons if reason is not None)
        if len(reasons) < len(self.stop_reasons):
            raise RuntimeError(f"rows {self.active} still go on: observe or respond until none is active")
        after = best_response(game, self.profile_BNA, self.config)
        first_BNA = self.trajectory[0]
        unmoved = torch.equal(first_BNA, self.profile_BNA)
        return RefinementResult(
            profile_BNA=self.profile_BNA,
            trajectory_KBNA=torch.stack(self.trajectory[: max(self.rounds)]),
            residuals=tuple(map(tuple, self.residuals)),
            rounds=tuple(self.rounds),
            stop_reasons=reasons,
            before=after if unmoved else best_response(game, first_BNA, self.config),
            after=after,
        )

    def _returns(self, proposal_BNA: Tensor, residual_B: Tensor) -> Tensor:
        """Rows [B] whose proposal is where they were two or more rounds ago, up to a small part of their last move."""
        returns_B = torch.zeros_like(residual_B, dtype=torch.bool)
        window = max(self.config.oscillation_window, 1)
        for earlier_BNA in self.trajectory[-window:-1]:
            distance_B = (proposal_BNA - earlier_BNA).abs().amax(dim=(1, 2))
            returns_B |= distance_B <= self.config.oscillation_tolerance * residual_B
        return returns_B


def refine(game: Game, profile_BNA: Tensor, config: EquilibriumConfig, ask: Ask | None = None) -> RefinementResult:
    """Refine profiles by simultaneous damped responses, each row until its own stop rule holds.

    Args:
        game: The game before any round.
        profile_BNA: The first profiles; clipped to [-1, 1].
        config: Rounds, responses, stop rules.
        ask: Plays a round and tells how the game looks after it. With it the team is asked K = `config.max_rounds`
            times, with K - 1 responses between; without it K responses are made in `game`.

    Returns:
        The last profiles played. A response that stops a row (too small, or going in a circle) is not made, so what is
        returned is what was asked last.

    Raises:
        TeamError: Shapes do not fit, or payoffs are not finite.
    """
    rounds = config.max_rounds if ask is not None else config.max_rounds + 1
    refiner = Refiner(profile_BNA, config.model_copy(update={"max_rounds": rounds}))
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
