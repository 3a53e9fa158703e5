"""Compares learners on a task with a known optimum: `python -m benchmarks.known_optimum`."""
