"""Every error this package raises on purpose, each named by the boundary where it arose."""

from __future__ import annotations


class AgentsError(Exception):
    """Base of all errors of this package; its text is one line that says what was wrong and what to do."""


class ConfigError(AgentsError, ValueError):
    """A setting is unknown, out of range, or contradicts another one."""


class TeamError(AgentsError, ValueError):
    """An environment or an observation does not fit: agents differ in their spaces, or shapes are not as agreed on."""


class CheckpointError(AgentsError):
    """A checkpoint is missing, incomplete, damaged, or made for a team of another shape."""


class WorkerError(AgentsError):
    """The processes that a run is spread over can't be had, differ from one another, or die again and again."""
