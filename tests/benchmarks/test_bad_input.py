"""What makes no sense is refused in one line, before anything is measured."""

import client_load
import faults
import judge_speed
import large_teams
import memory
import pytest
import team_latency
from click.testing import CliRunner


@pytest.mark.parametrize(
    ("script", "arguments"),
    [
        (client_load, ["--problems", "0"]),
        (client_load, ["--concurrency", "0"]),
        (faults, ["--share", "2"]),
        (faults, ["--problems", "0"]),
        (judge_speed, ["--n", "0"]),
        (large_teams, ["--executors", "0"]),
        (large_teams, ["--cluster-size", "1"]),
        (memory, ["--agents", "0"]),
        (memory, ["--problems", "-1"]),
        (team_latency, ["--repeats", "0"]),
    ],
)
def test_numbers_out_of_range_are_refused(script, arguments):
    ran = CliRunner().invoke(script.main, arguments)
    assert ran.exit_code == 2
    assert f"Invalid value for '{arguments[0]}'" in ran.output
