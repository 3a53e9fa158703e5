"""All errors that this package raises on purpose."""

from __future__ import annotations


class AgentsError(Exception):
    """Base of all errors of this package; its text is one line that says what was wrong and what to do."""


class ConfigError(AgentsError, ValueError):
    """A setting is unknown, out of range, or contradicts another one."""


class TeamError(AgentsError, ValueError):
    """An environment or an observation does not fit: agents have different spaces, or a shape is wrong."""


class CheckpointError(AgentsError):
    """A checkpoint is missing, incomplete, damaged, or made for a team of another shape."""


class WorkerError(AgentsError):
    """Worker processes could not be started, differ from one another, or die too often."""
