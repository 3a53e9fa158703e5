"""Defines every error that this package raises on purpose; each is named after the place where it occurs.

All derive from `EconError`; its text is one line that says what was wrong and what to do. Command-line tools print that
line and exit with 2, or with 1 where nothing could be judged.
"""

from __future__ import annotations

from econ_env.records import Usage


class EconError(Exception):
    """Base of all errors of this package."""


class ConfigError(EconError, ValueError):
    """A setting is unknown, out of range, or contradicts another one."""


class ExtensionError(EconError):
    """An extension, such as a reward term, returned an invalid value."""


class EpisodeError(EconError, RuntimeError):
    """The environment was used out of order, such as `step` before `reset`, or with an action that is not a number."""


class ProblemError(EconError):
    """A problem set could not be loaded."""


class ProblemSourceError(ProblemError):
    """The file is missing or unreadable, or the hub can't be reached or has no such data set or split."""


class ProblemUnreachableError(ProblemSourceError):
    """The hub can't be reached and there is no cached copy."""


class ProblemSplitError(ProblemSourceError):
    """The source has no such split."""


class ProblemFieldError(ProblemError):
    """A requested field is not in the data, or a question is empty."""


class ProblemGoldError(ProblemError):
    """A gold answer could not be read, or the judge does not accept it."""


class UnknownQuestionError(ProblemError):
    """A team that knows only certain problems, since it is simulated or recorded, was asked another question."""


class BankError(EconError):
    """A bank of recorded replies is missing, can't be read, or can't play what was asked of it."""


class JudgeError(EconError):
    """The process that compares formulas could not be started."""


class LLMError(EconError):
    """A model call failed, even after its retries."""

    usage: Usage = Usage()
    """Usage of the failed call: unusable answers cost tokens too."""


class LLMRequestError(LLMError):
    """The server refused the request, and a retry would not help: for example a wrong key or an unknown model."""


class LLMContextError(LLMRequestError):
    """The server refused one request because its messages are too long for the model; others may succeed."""


class LLMLimitedError(LLMRequestError):
    """The server asks to wait longer than a call may take; all other calls would fail until then too."""


class LLMUnavailableError(LLMError):
    """The server could not be reached, kept failing, or took longer than the deadline."""


class LLMReplyError(LLMError):
    """The server answered, but no answer was usable, even after retries."""


class BudgetError(EconError):
    """The token or money budget of the run is spent."""


class EmbeddingError(EconError):
    """The embedding model is missing, or returned something that is not an embedding."""


class TraceError(EconError):
    """A trace or result file could not be written or read."""


class NothingJudgedError(EconError):
    """Every problem failed, so that a run or `econ solve` has no result; command-line tools exit with 1."""
