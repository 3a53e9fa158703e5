"""Gives a run up when problem after problem fails: then it is the models, not the problems."""

from __future__ import annotations

from econ_env.errors import LLMUnavailableError

FAILURES_IN_A_ROW = 5
"""Problems that may fail one after another before the run gives up on its models."""


class Failures:
    """Counts problems that failed one after another."""

    def __init__(self) -> None:
        self._in_a_row = 0

    def count(self, failed: bool, reason: str | None) -> None:
        """Take note of a finished problem.

        Raises:
            LLMUnavailableError: Too many failed one after another.
        """
        self._in_a_row = self._in_a_row + 1 if failed else 0
        if self._in_a_row >= FAILURES_IN_A_ROW:
            raise LLMUnavailableError(
                f"{self._in_a_row} problems failed one after another, the last with: {reason}; "
                "mend it and go on with --resume"
            )
