"""Measures all time except model time, against common alternatives: `python -m benchmarks.speed`."""
