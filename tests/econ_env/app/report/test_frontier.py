import json

import pytest

from econ_env.app.report.frontier import Point, frontier, frontiers, points
from econ_env.app.report.runs import load_runs
from tests.econ_env.app.report.made_runs import make_run


def point(label, cost, share, bound=False):
    return Point(label, "", cost, share, share, share, bound)


def test_only_what_no_other_reaches_at_as_little_cost_is_on_the_frontier():
    found = [point("dear", 3, 0.8), point("cheap", 1, 0.5), point("worse", 2, 0.4), point("equal", 3, 0.7),
             point("bound", 1, 0.9, bound=True)]  # fmt: skip
    assert [one.label for one in frontier(found)] == ["cheap", "dear"]


def test_all_methods_are_drawn_and_bounds_are_marked(run_folder):
    runs = load_runs([run_folder])
    *methods, bound = points(runs, "calls")
    assert [one.label for one in methods] == ["One greedy call", "ECON with 1 round", "ECON with 3 rounds"]
    assert not any(one.bound for one in methods)
    for one, part in zip(methods, runs.overview["methods"].values(), strict=True):
        assert (one.share, one.low, one.high) == tuple(part["accuracy"]["estimate"].values())
        assert one.cost == part["cost"]["calls"]
    shares = [part["executors"]["any"] for part in runs.overview["methods"].values()]
    assert bound.bound
    assert bound.label.endswith("(bound)")
    assert bound.share == pytest.approx(max(shares))
    plot = frontiers(runs)["accuracy_calls"]
    assert "can't be played" in plot.caption
    assert f"ECON with 3 rounds: {100 * methods[2].share:.1f}%" in plot.words


def test_methods_that_are_bounds_are_marked_and_not_on_the_frontier(tmp_path):
    folder = make_run(tmp_path / "logs", 6, methods=(("single", 1, 1), ("any_right", 3, 1)))
    found = points(load_runs([folder]), "tokens")
    assert [one.bound for one in found] == [False, True]
    assert found[1].label == "Any executor right (bound)"


def test_a_cost_that_is_not_known_has_no_picture(tmp_path):
    folder = make_run(tmp_path / "logs", 2)
    results = folder / "results.jsonl"
    rows = [json.loads(line) for line in results.read_text().splitlines()]
    for row in rows:
        row["tokens"] = dict.fromkeys(row["tokens"], 0)
    results.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert list(frontiers(load_runs([folder]))) == ["accuracy_calls"]
