"""Collects the errors of a check and raises all of them together, one per line."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any

from econ_env.testing.env_checks import CheckError


class Violations:
    """A context that collects violated requirements, and raises all of them together at its end.

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
        """Note `repair` if the requirement does not hold; return `holds`."""
        if not holds:
            self._found[" ".join(repair.split())] = None
        return holds

    @contextmanager
    def guarding(self, call: str) -> Iterator[None]:
        """Note an error that is raised in this context, and continue after the context."""
        try:
            yield
        except Exception as error:  # any kind of error must be reported
            self.require(False, f"{call} must not fail, but raised {type(error).__name__}: {error}")

    def require_copies(self, thing: Any, result: Callable[[Any], Any], what: str) -> None:
        """Require that pickled and copied objects give the same results.

        Args:
            thing: The object to copy.
            result: Gives an object's result; compared by `==`.
            what: Name of the result in messages.
        """
        try:
            copies = pickle.loads(pickle.dumps(thing)), copy.deepcopy(thing)
        except Exception as error:  # as above
            self.require(False, f"it must survive pickling and copying: {type(error).__name__}: {error}")
            return
        with self.guarding(f"{what} of a copy"):
            self.require(all(result(one) == result(thing) for one in copies), f"copies must give the same {what}")
