"""Every error this package raises on purpose, each named by the boundary where it arose.

All derive from `EconError`; its text is one line that says what was wrong and what to do. Command-line tools print that
line and exit with 2.
"""

from __future__ import annotations

from econ_env.records import Usage


class EconError(Exception):
    """Base of all errors of this package."""


class ConfigError(EconError, ValueError):
    """A setting is unknown, out of range, or contradicts another one."""


class ExtensionError(EconError):
    """Something that somebody else added, such as a reward term, gave what it must not give."""


class EpisodeError(EconError, RuntimeError):
    """The environment was used out of order, for example `step` before `reset`, or with an action that is no number."""


class ProblemError(EconError):
    """A problem set could not be loaded."""


class ProblemSourceError(ProblemError):
    """The file is missing or unreadable, or the hub can't be reached or has no such data set or split."""


class ProblemUnreachableError(ProblemSourceError):
    """The hub can't be reached and there is no cached copy."""


class ProblemSplitError(ProblemSourceError):
    """The source has no such split."""


class ProblemFieldError(ProblemError):
    """A field that was asked for is not in the data."""


class ProblemGoldError(ProblemError):
    """A gold answer could not be read, or the judge does not accept it."""


class JudgeError(EconError):
    """Two formulas had to be compared and the process that does it could not be started."""


class LLMError(EconError):
    """A model call failed for good, after its retries."""

    usage: Usage = Usage()
    """What the failed call cost all the same: unusable answers are paid for."""


class LLMRequestError(LLMError):
    """The server refused the request in a way that repeating can't heal, such as a bad key or an unknown model."""


class LLMContextError(LLMRequestError):
    """The server refused this one request, since its messages are too long for the model; others may pass."""


class LLMUnavailableError(LLMError):
    """The server could not be reached, kept failing, or took longer than the deadline."""


class LLMReplyError(LLMError):
    """The server answered, but with nothing usable, also when asked again."""


class BudgetError(EconError):
    """The token or money budget of the run is spent."""


class EmbeddingError(EconError):
    """The embedding model is missing or gave something that is no embedding."""


class TraceError(EconError):
    """A trace or result file could not be written or read."""
