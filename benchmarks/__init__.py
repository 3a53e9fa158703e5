"""Measures the project: training and test scripts, comparisons, speed, memory and learning."""
