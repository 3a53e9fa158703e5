"""Simulates a team whose best controls are known exactly, for tests and benchmarks; it is not a language model.

scipy is imported where it is needed: to answer takes none of it, and it takes half a second to load.
"""

from econ_env.simulation.landscape import Landscape
from econ_env.simulation.model import SimulatedLLM
from econ_env.simulation.optimum import KnownOptimum, known_optimum
from econ_env.simulation.votes import independent_counts, win_chance

__all__ = ["KnownOptimum", "Landscape", "SimulatedLLM", "independent_counts", "known_optimum", "win_chance"]
