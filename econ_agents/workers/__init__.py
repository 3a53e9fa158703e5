"""Training and tests on many processes: workers of a Ray cluster, on this machine or on several."""

from econ_agents.workers.worker import Site
from econ_agents.workers.workers import RemoteEnv, Workers

__all__ = ["RemoteEnv", "Site", "Workers"]
