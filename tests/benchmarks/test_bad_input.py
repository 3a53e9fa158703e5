"""What makes no sense is refused in one line, before anything is measured."""

import pytest
from click.testing import CliRunner

from benchmarks.measure import embedders, faults, judge_speed, large_teams, memory, sweep, volunteers


@pytest.mark.parametrize(
    ("script", "arguments"),
    [
        (embedders, ["--problems", "0"]),
        (embedders, ["--device", "tpu"]),
        (faults, ["--share", "2"]),
        (faults, ["--problems", "0"]),
        (judge_speed, ["--n", "0"]),
        (large_teams, ["--executors", "0"]),
        (large_teams, ["--cluster-size", "1"]),
        (memory, ["--agents", "0"]),
        (memory, ["--problems", "-1"]),
        (sweep, ["--problems", "0"]),
        (sweep, ["--samples", "0"]),
        (volunteers, ["--seeds", "0"]),
        (volunteers, ["--costs", "none"]),
    ],
)
def test_numbers_out_of_range_are_refused(script, arguments):
    ran = CliRunner().invoke(script.main, arguments)
    assert ran.exit_code == 2
    assert f"Invalid value for '{arguments[0]}'" in ran.output
