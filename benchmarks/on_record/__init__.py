"""The benchmark on recorded replies: folds, methods, intervals, and the frontier of accuracy against calls."""
