"""What is not spent in the models, beside what one would take instead: `python -m benchmarks.speed`."""
