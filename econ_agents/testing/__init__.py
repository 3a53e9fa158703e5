"""Tools to test environments, policies, mixers and solvers: games with known equilibria, tiny environments, checks."""

from econ_agents.testing.deliberation_checks import check_deliberates
from econ_agents.testing.games import (
    MatchingPennies,
    MatrixGame,
    QuadraticGame,
    TwoEquilibriaGame,
    VolunteersDilemma,
    biased_rock_paper_scissors,
    mean_of_others,
    rock_paper_scissors,
)
from econ_agents.testing.plugin_checks import check_mixer, check_solver
from econ_agents.testing.tiny_envs import AsyncQuadraticEnv, CoordinationEnv, QuadraticEnv, QuadraticPolicy
from econ_agents.testing.volunteers import VolunteersEnv

__all__ = [
    "AsyncQuadraticEnv", "CoordinationEnv", "MatchingPennies", "MatrixGame", "QuadraticEnv", "QuadraticGame",
    "QuadraticPolicy", "TwoEquilibriaGame", "VolunteersDilemma", "VolunteersEnv", "biased_rock_paper_scissors",
    "check_deliberates", "check_mixer", "check_solver", "mean_of_others", "rock_paper_scissors",
]  # fmt: skip
