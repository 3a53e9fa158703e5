"""Provides the parts of a run: folder, problems, results, display, logs and provenance."""

from econ_env.app.runs.folder import RunFolder
from econ_env.app.runs.recording import Record, make_record

__all__ = ["Record", "RunFolder", "make_record"]
