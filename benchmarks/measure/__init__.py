"""Measurement scripts: memory, workers, failures, the judge and large teams."""
