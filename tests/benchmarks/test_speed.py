"""The arithmetic of the speed benchmark, and that its parts exist and measure; how fast anything is, is not tested."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from benchmarks.speed import __main__ as speed
from benchmarks.speed import job, single
from benchmarks.speed.lines import Line, in_turns
from econ_env.testing import FaultyServer


@pytest.mark.parametrize(
    ("better", "aim", "reached"),
    [("lower", 1.6, True), ("lower", 1.4, False), ("higher", 1.4, True), ("higher", 1.6, False), ("lower", None, None)],
)
def test_an_aim_is_reached_from_the_right_side(better, aim, reached):
    line = Line("part", "ours", 3.0, "s", "theirs", 2.0, better, aim)
    assert line.ratio == 1.5
    assert line.reached is reached


def test_measures_take_turns_and_the_first_round_does_not_count():
    asked: list[str] = []

    def measure(name: str, values: list[float]):
        given = iter(values)

        def once() -> float:
            asked.append(name)
            return next(given)

        return once

    seen = in_turns([measure("a", [99.0, 1.0, 5.0, 2.0]), measure("b", [99.0, 7.0, 7.0, 9.0])], repeats=3)
    assert seen == [2.0, 7.0]
    assert [set(asked[place : place + 2]) for place in range(0, 8, 2)] == [{"a", "b"}] * 4


@pytest.mark.parametrize("part", speed.PARTS)
def test_every_part_can_be_found(part):
    module, name = speed.PARTS[part]
    path = Path(speed.__file__).parents[2].joinpath(*module.split(".")).with_suffix(".py")
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_a_part_is_measured_shown_and_written(tmp_path, monkeypatch):
    from benchmarks.speed import team

    monkeypatch.setattr(team, "LATENCY", 0.001)
    file = tmp_path / "speed.json"
    ran = CliRunner().invoke(speed.main, ["--only", "latency", "--json", str(file)])
    assert ran.exit_code == 0, ran.output
    first, second = json.loads(file.read_text())["lines"]
    assert first["value"] == second["value"] > first["reference_value"] == pytest.approx(0.007)
    assert second["reference_value"] == pytest.approx(0.013)
    assert first["ratio"] == pytest.approx(first["value"] / first["reference_value"])
    assert "team latency" in ran.output


def test_throughput_asks_the_server_in_each_of_its_ways(monkeypatch):
    from benchmarks.speed import team

    monkeypatch.setattr(team, "LATENCY", 0.001)
    monkeypatch.setattr(team, "ONE_BY_ONE", 1)
    lines = team.throughput(sizes=(2,))
    assert [line.reference for line in lines] == ["ideal", "a thread for each call", "its calls one by one"]
    assert lines[0].value == lines[1].value == pytest.approx(2 * lines[2].value)
    assert lines[2].reference_value >= 13 * 0.001


def test_plain_calls_are_timed_by_the_server(monkeypatch):
    monkeypatch.setattr(single, "PROBLEMS", 3)
    monkeypatch.setattr(single, "IN_FLIGHT", 1)
    bodies = [{"model": "test-model", "messages": [{"role": "user", "content": str(n)}]} for n in range(3)]
    with FaultyServer(latency=0.05) as server:
        assert single._plain(server.url, bodies) >= 0.15
        with pytest.raises(RuntimeError, match="saw 2 calls instead of 3"):
            single._plain(server.url, bodies[:2])


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_single_calls_are_made_by_the_script(monkeypatch):
    monkeypatch.setattr(single, "PROBLEMS", 4)
    monkeypatch.setattr(single, "LATENCIES", (0.01,))
    monkeypatch.setattr(single, "REPEATS", 1)
    (line,) = single.single()
    assert line.value > 0.01
    assert line.reference_value > 0.01
    assert line.aim is None


def test_arithmetic_is_told_for_each_step():
    import torch

    from benchmarks.speed.learner import STEPS, _arithmetic

    weight = torch.ones(8, 16)

    def step(batch):
        for _ in range(STEPS):
            torch.ones(batch, 8) @ weight
        return 0.0

    assert _arithmetic(step, 4) == pytest.approx(2 * 4 * 8 * 16 / 1e6)


def test_an_unknown_revision_is_one_line():
    ran = CliRunner().invoke(speed.main, ["--only", "job", "--against", "no-such-thing"])
    assert ran.exit_code == 2
    assert "git has no revision 'no-such-thing' here" in ran.output


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_job_is_run_by_its_scripts_here_and_at_another_revision(monkeypatch):
    monkeypatch.setattr(job, "LATENCY", 0.01)
    monkeypatch.setattr(job, "SIZES", ((4, 8),))
    monkeypatch.setattr(job, "ENVIRONMENTS", (2,))
    monkeypatch.setattr(job, "EPISODES", 2)
    monkeypatch.setattr(job, "EMBEDDERS", ("hash",))
    lines = job.job("HEAD")
    assert [line.reference for line in lines] == ["the ideal", "--against"] * 2
    trained, _, tested, again = lines
    assert trained.reference_value == pytest.approx(0.03)  # strategy, replies, commitment; two episodes at once
    assert tested.reference_value == pytest.approx(0.01 * (max(3, 4 * 5 / 8) + max(7, 4 * 13 / 8)))
    assert tested.ratio > 1.0
    assert again.reference_value > tested.reference_value
