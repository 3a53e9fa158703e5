"""Runs training and tests in many processes: workers of a Ray cluster, on one machine or several."""

from econ_agents.workers.worker import Site
from econ_agents.workers.workers import RemoteEnv, Workers

__all__ = ["RemoteEnv", "Site", "Workers"]
