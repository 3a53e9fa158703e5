"""Compares ways to answer on the same problems, at equal cost."""

from econ_env.app.compare.readable import readable_name
from econ_env.app.compare.search import Play, PlayAll, Profile, cma_es, grid, ucb1
from econ_env.app.compare.team_method import TeamMethod

__all__ = ["Play", "PlayAll", "Profile", "TeamMethod", "cma_es", "grid", "readable_name", "ucb1"]
