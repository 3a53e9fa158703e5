"""Learning curves, ablations and peers on a task whose optimum is known: `python -m benchmarks.known_optimum`."""
