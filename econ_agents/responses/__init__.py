"""Responses of each agent to the others' current actions: best ones with their gains, and logit ones."""

from econ_agents.responses.best import BestResponse, best_response
from econ_agents.responses.game import Game, Screens, payoffs
from econ_agents.responses.logit import LogitResponse, logit_response
from econ_agents.responses.solver import Solver, respond

__all__ = [
    "BestResponse", "Game", "LogitResponse", "Screens", "Solver", "best_response", "logit_response", "payoffs",
    "respond",
]  # fmt: skip
