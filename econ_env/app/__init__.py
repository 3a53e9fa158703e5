"""The command line and what it runs: the only room that knows both the environment and the learner."""

from econ_env.app.run_config import RunConfig, load_run_config, make_env

__all__ = ["RunConfig", "load_run_config", "make_env"]
