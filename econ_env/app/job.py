"""The main job: train a team, then test it on the same problems without and with BNE rounds, and write everything down."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from econ_agents.evaluate import EpisodeResult, evaluate
from econ_agents.policy import EconPolicy
from econ_agents.train import train

from econ_env.app import display
from econ_env.app.datasets import RunProblems, choose_problems
from econ_env.app.options import CommonOptions
from econ_env.app.provenance import provenance
from econ_env.app.results import by_method, result_row, summarise
from econ_env.app.run_config import RunConfig
from econ_env.env import EconParallelEnv
from econ_env.errors import EconError, LLMUnavailableError
from econ_env.factory import parallel_env
from econ_env.problems import ProblemSet
from econ_env.traces import JsonLines, read_lines, write_json

FAILURES_IN_A_ROW = 5
"""Problems that may fail one after another before the run gives up on its server."""
