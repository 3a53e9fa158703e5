"""Runs the command line; only this package imports both the environment and the learner."""

from econ_env.app.run_config import RunConfig, load_run_config, make_env

__all__ = ["RunConfig", "load_run_config", "make_env"]
