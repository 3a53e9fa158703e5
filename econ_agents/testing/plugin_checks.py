"""Checks third-party mixers and solvers; the message has one line for each fault.

Axes: B batch, N agents, A controls, E group.
"""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from econ_agents.config import EquilibriumConfig
from econ_agents.equilibrium import make_solver, refine
from econ_agents.networks.mixer import MakesMixer, MixerShape
from econ_agents.responses import Solver
from econ_agents.testing.games import QuadraticGame

ROWS = 5
SLACK = 1e-6
"""A slope above minus this is a rounding error."""

Inputs = tuple[Tensor, Tensor, Tensor]


def check_mixer(make: MakesMixer, *, shape: MixerShape | None = None, draws: int = 10) -> None:
    """Check a mixer the way the learner uses it, for parameters and inputs of many sizes.

    Args:
        make: Makes the mixer from its sizes, like the object registered under its name.
        shape: Sizes to try it with, by default three agents with two controls.
        draws: Number of parameter sets that are tried: the first as made, the others far from it.

    Raises:
        AssertionError: It has faults; the message has one line for each.
    """
    shape = shape or MixerShape(n_agents=3, action_dim=2, group_dim=6, dim=8)
    found: list[str] = []
    with torch.random.fork_rng(devices=[]):
        for number in range(draws):
            torch.manual_seed(number)
            mixer = make(shape)
            if not isinstance(mixer, nn.Module):
                raise AssertionError(f"it must make a torch.nn.Module, got {type(mixer).__name__}")
            mixer.eval()
            with torch.no_grad():
                for parameter in mixer.parameters() if number else ():
                    parameter.add_(torch.randn_like(parameter) * (3.0 if number % 2 else 1.0))
            inputs = _inputs(shape, scale=10.0 ** (number % 3 - 1))
            found += _mixed(mixer, inputs)
            if number == 0 and not found:
                found += _trained(make, shape, mixer, inputs)
    _tell(found)


def check_solver(solver: Solver | type[Solver], *, rounds: int = 200, share: float = 0.01) -> None:
    """Check a solver on quadratic games with known equilibria, in which best responses converge.

    Args:
        solver: The solver, or its class.
        rounds: Number of responses that it may make.
        share: Largest share of the initial gap that may be left at the end.

    Raises:
        AssertionError: It has faults; the message has one line for each.
    """
    solver = make_solver(solver)  # type: ignore[arg-type]  # a class is taken too
    found: list[str] = []
    generator = torch.Generator().manual_seed(0)
    for coupling in (-0.5, 0.0, 0.3):
        equilibrium_BNA = torch.rand(4, 3, 2, generator=generator) * 1.2 - 0.6
        start_BNA = torch.rand(4, 3, 2, generator=generator) * 2.0 - 1.0
        game = QuadraticGame.with_equilibrium(equilibrium_BNA, coupling)
        problems = _responded(solver, game, [start_BNA, start_BNA / 2.0], equilibrium_BNA)
        if not problems:
            config = EquilibriumConfig(solver=solver, convergence_threshold=0.0, oscillation_window=0)
            result = refine(game, start_BNA, config, rounds=rounds)
            left = float((result.after.nash_conv_B / result.before.nash_conv_B).max())
            if left > share:
                problems = [
                    f"with coupling {coupling} it must bring the gap below {share:g} of its start within {rounds} "
                    f"rounds, but {left:.3g} is left"
                ]
        found += problems
    _tell(found)


def _inputs(shape: MixerShape, scale: float) -> Inputs:
    q_BN = scale * torch.randn(ROWS, shape.n_agents)
    act_BNA = torch.rand(ROWS, shape.n_agents, shape.action_dim) * 2.0 - 1.0
    return q_BN, act_BNA, torch.randn(ROWS, shape.group_dim)


def _mixed(mixer: nn.Module, inputs: Inputs) -> list[str]:
    """Faults of Q_tot as a function of its inputs."""
    q_BN, act_BNA, group_BE = inputs
    q_BN = q_BN.clone().requires_grad_()
    total_B = mixer(q_BN, act_BNA, group_BE)
    if not isinstance(total_B, Tensor) or total_B.shape != (ROWS,):
        got = tuple(total_B.shape) if isinstance(total_B, Tensor) else type(total_B).__name__
        return [f"it must give Q_tot of shape (batch,) = ({ROWS},), got {got}"]
    if not bool(torch.isfinite(total_B).all()):
        return ["Q_tot must be finite"]
    if not total_B.requires_grad:
        return ["Q_tot must depend on the local values and be differentiable"]
    found = []
    slope_BN = torch.autograd.grad(total_B.sum(), q_BN, allow_unused=True)[0]
    if slope_BN is None or not bool((slope_BN != 0).any()):
        found.append("Q_tot must depend on the local values")
    elif float(slope_BN.min()) < -SLACK:
        found.append(f"Q_tot must not fall when a Q_i rises, whatever the parameters: slope {slope_BN.min():.3g}")
    with torch.no_grad():
        if not torch.allclose(mixer(q_BN, act_BNA, group_BE), total_B, rtol=1e-3, atol=1e-4):
            found.append("in eval mode the same inputs must give the same Q_tot")
        alone = torch.cat([mixer(*(part[row : row + 1] for part in (q_BN, act_BNA, group_BE))) for row in range(ROWS)])
        if not torch.allclose(alone, total_B, rtol=1e-3, atol=1e-4):
            found.append("each row must be mixed on its own: other rows must not change it")
    return found


def _trained(make: MakesMixer, shape: MixerShape, mixer: nn.Module, inputs: Inputs) -> list[str]:
    """Faults in training, copying and saving it."""
    found = []
    mixer.train()
    total: Tensor = mixer(*inputs).square().sum()
    names = [name for name, parameter in mixer.named_parameters() if parameter.requires_grad]
    if names:
        slopes = torch.autograd.grad(total, [mixer.get_parameter(name) for name in names], allow_unused=True)
        lost = [name for name, slope in zip(names, slopes, strict=True) if slope is None]
        if lost:
            found.append(f"every parameter must affect Q_tot, but {', '.join(lost)} do not")
    mixer.eval()
    try:
        copies = [pickle.loads(pickle.dumps(mixer)), copy.deepcopy(mixer)]
    except Exception as error:  # any error is a fault to report
        return [*found, f"it must survive pickling and copying: {type(error).__name__}: {error}"]
    loaded = make(shape).eval()
    loaded.load_state_dict(mixer.state_dict())
    with torch.no_grad():
        if not all(torch.equal(one(*inputs), mixer(*inputs)) for one in (*copies, loaded)):
            found.append("a copy, and a mixer that loads its state_dict, must give the same Q_tot")
    return found


def _responded(solver: Solver, game: QuadraticGame, trajectory: Sequence[Tensor], equilibrium_BNA: Tensor) -> list[str]:
    """Faults of single responses."""
    config = EquilibriumConfig()
    before = [profile.clone() for profile in trajectory]
    next_BNA = solver.respond(game, tuple(trajectory), config)
    if not isinstance(next_BNA, Tensor) or next_BNA.shape != trajectory[-1].shape:
        got = tuple(next_BNA.shape) if isinstance(next_BNA, Tensor) else type(next_BNA).__name__
        return [f"respond must give a profile of the shape {tuple(trajectory[-1].shape)}, got {got}"]
    if not bool(torch.isfinite(next_BNA).all()):
        return ["respond must give finite numbers"]
    found = []
    if not all(map(torch.equal, before, trajectory)):
        found.append("respond must not change the profiles that it is given")
    if not torch.equal(solver.respond(game, tuple(trajectory), config), next_BNA):
        found.append("respond must give the same for the same game and profiles: keep no state, draw no random numbers")
    rows = range(len(next_BNA))
    games = [QuadraticGame(game.centre_BNA[row : row + 1], game.coupling) for row in rows]
    alone = [solver.respond(games[row], tuple(p[row : row + 1] for p in trajectory), config) for row in rows]
    if not torch.allclose(torch.cat(alone), next_BNA, atol=1e-4):
        found.append("each row is a game of its own: its response must not depend on other rows")
    stays_BNA = solver.respond(game, (equilibrium_BNA,) * 3, config)
    if not torch.allclose(stays_BNA, equilibrium_BNA, atol=1e-2):
        found.append("it must stay at an equilibrium if all rounds played it")
    found += _copied(solver, lambda one: one.respond(game, tuple(trajectory), config), next_BNA)
    return found


def _copied(solver: Solver, respond: Callable[[Solver], Tensor], expected: Tensor) -> list[str]:
    try:
        copied = pickle.loads(pickle.dumps(solver))
    except Exception as error:  # any error is a fault to report
        return [f"it must survive pickling: {type(error).__name__}: {error}"]
    return [] if torch.equal(respond(copied), expected) else ["a pickled copy must give the same response"]


def _tell(found: Sequence[str]) -> None:
    if found:
        raise AssertionError("\n".join(dict.fromkeys(found)))
