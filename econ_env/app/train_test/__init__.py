"""Trains a team and tests it, in one process or on the workers of a Ray cluster."""

from econ_env.app.train_test.job import checkpoint_test, train_and_test
from econ_env.app.train_test.ray_run import Report, RunSite

__all__ = ["Report", "RunSite", "checkpoint_test", "train_and_test"]
