"""Provides the parts of a run: folder, problems, results, display, logs and provenance."""

from econ_env.app.runs.datasets import choose_problems
from econ_env.app.runs.folder import RunFolder
from econ_env.app.runs.recording import Record, make_record

__all__ = ["Record", "RunFolder", "choose_problems", "make_record"]
