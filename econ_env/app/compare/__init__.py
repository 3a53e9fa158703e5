"""Compares ways to answer on the same problems, at equal cost."""

from econ_env.app.compare.team_method import TeamMethod

__all__ = ["TeamMethod"]
