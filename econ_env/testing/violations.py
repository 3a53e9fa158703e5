"""Gathers what is wrong with something that was checked, so that all of it is told at once, a line each."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any

from econ_env.testing.env_checks import CheckError


class Violations:
    """A context in which things are required of something; at its end all that was violated is raised together.

    Raises:
        CheckError: At the end, with one line for each violation.
    """

    def __init__(self) -> None:
        self._found: dict[str, None] = {}

    def __enter__(self) -> Violations:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None and self._found:
            raise CheckError("\n".join(self._found))

    def require(self, holds: bool, repair: str) -> bool:
        """Note how to repair what does not hold; returns whether it does."""
        if not holds:
            self._found[" ".join(repair.split())] = None
        return holds

    @contextmanager
    def guarding(self, call: str) -> Iterator[None]:
        """Note an error of a call that must not raise any, and go on after the context."""
        try:
            yield
        except Exception as error:  # an error of whatever kind is what has to be repaired
            self.require(False, f"{call} must not fail, but raised {type(error).__name__}: {error}")

    def require_copies(self, thing: Any, result: Callable[[Any], Any], what: str) -> None:
        """Ask that pickled and copied things do the same.

        Args:
            thing: What is copied.
            result: What a thing gives; compared by `==`.
            what: What that is called.
        """
        try:
            copies = pickle.loads(pickle.dumps(thing)), copy.deepcopy(thing)
        except Exception as error:  # as above
            self.require(False, f"it must survive pickling and copying: {type(error).__name__}: {error}")
            return
        with self.guarding(f"{what} of a copy"):
            self.require(all(result(one) == result(thing) for one in copies), f"copies must give the same {what}")
