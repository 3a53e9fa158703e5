"""Checks that an object is an observation part in the sense of `econ_env.observations.added.ObservationPart`.

>>> from econ_env.testing import check_observation_part
>>> check_observation_part(MyPart())
"""

from __future__ import annotations

from collections.abc import Callable

from econ_env.errors import ExtensionError
from econ_env.observations.added import ObservationPart, make_parts, part_values
from econ_env.observations.known import Known
from econ_env.testing.sample_plays import sample_known
from econ_env.testing.violations import Violations


def check_observation_part(part: ObservationPart) -> None:
    """Check an observation part on the knowledge of a simulated team's executors.

    Args:
        part: The observation part to check.

    Raises:
        CheckError: All errors found, one per line.
    """
    with Violations() as found:
        with found.guarding("naming it"):
            make_parts([part])
        samples = sample_known()
        for known in samples:
            with found.guarding("values"):
                try:
                    values = part_values(part, known).tolist()
                except ExtensionError as error:
                    found.require(False, str(error))
                    break
                again = part_values(part, known).tolist()
                found.require(again == values, "values must return the same numbers for the same knowledge")
        found.require_copies(part, _all_values(samples), "values")


def _all_values(samples: list[Known]) -> Callable[[ObservationPart], list[list[float]]]:
    return lambda part: [part_values(part, known).tolist() for known in samples]
