"""The benchmark on recorded replies: folds, methods, intervals, and accuracy against calls."""
