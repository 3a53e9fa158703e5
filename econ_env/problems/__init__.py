"""Loads problems with their gold answers: bundled, from files, from tables in memory and from the Hugging Face hub."""

from econ_env.problems.load import ProblemSet, ProblemStream, load_problems

__all__ = ["ProblemSet", "ProblemStream", "load_problems"]
