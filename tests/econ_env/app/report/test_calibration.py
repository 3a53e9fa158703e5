import json
import math

import numpy as np
import pytest

from econ_env.app.report.calibration import calibration, calibration_of
from econ_env.app.report.calibration_plot import calibration_plots
from econ_env.app.report.runs import load_runs
from econ_env.app.report.style import LIGHT, WIDE, render_svg
from econ_env.app.report.tables import all_tables
from tests.econ_env.app.report.made_runs import make_run


def reply(probability, verdict):
    return {"verdict": verdict, "confidence": {"mean": math.log(probability), "lowest": -1.0, "tokens": 9}}


def test_bins_and_error_are_those_worked_out_by_hand():
    # ten replies at 0.5 of which five are right, ten at 0.9 of which six are: error (0 + 0.3) / 2
    low = [reply(0.5, "correct")] * 5 + [reply(0.5, "wrong")] * 5
    high = [reply(0.9, "correct")] * 6 + [reply(0.9, "no_answer")] * 4
    found = calibration_of([{"replies": low}, {"replies": high}])
    assert found.replies == 20
    assert found.sizes.tolist() == [10, 10]
    assert found.confidence == pytest.approx([0.5, 0.9])
    assert found.right == pytest.approx([0.5, 0.6])
    assert found.error == pytest.approx(0.15)


def test_confidences_that_are_right_as_often_as_they_say_have_no_error():
    rng = np.random.default_rng(0)
    sure = rng.uniform(0.2, 1.0, 20_000)
    replies = [reply(p, "correct" if hit else "wrong") for p, hit in zip(sure, rng.random(20_000) < sure, strict=True)]
    found = calibration_of([{"replies": replies}])
    assert len(found.sizes) == 10
    assert found.sizes.tolist() == [2000] * 10
    assert found.error < 0.02


def test_equal_confidences_share_a_bin_and_unsaid_replies_do_not_count():
    unsaid = [reply(0.3, "silent"), reply(0.3, "invalid"), {"verdict": "correct", "confidence": None}]
    found = calibration_of([{"replies": [reply(0.7, "correct")] * 50 + unsaid}])
    assert found.sizes.tolist() == [50]
    assert calibration_of([{"replies": unsaid}]) is None


@pytest.fixture
def sure_run(tmp_path):
    """A run whose replies have a confidence."""
    folder = make_run(tmp_path / "logs", 30)
    results = folder / "results.jsonl"
    rows = [json.loads(line) for line in results.read_text().splitlines()]
    rng = np.random.default_rng(1)
    for row in rows:
        for one in row["replies"]:
            one["confidence"] = {"mean": float(-rng.random() / 3), "lowest": -2.0, "tokens": 40}
    results.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return load_runs([folder])


def test_the_page_has_curve_and_table_where_replies_have_a_confidence(sure_run):
    table = calibration(sure_run)
    assert [row[0].text for row in table.rows] == ["One greedy call", "ECON with 1 round", "ECON with 3 rounds"]
    assert [row[1].text for row in table.rows] == ["30", "90", "90"]
    own = calibration_of(sure_run.methods["bne"])
    assert table.rows[2][4].text == f"{100 * own.error:.1f}"
    plot = calibration_plots(sure_run)["calibration"]
    assert b"confidence of replies" in render_svg(plot.draw, LIGHT, WIDE)


def test_nothing_is_shown_where_no_reply_has_one(run_folder):
    runs = load_runs([run_folder])
    assert calibration_plots(runs) == {}
    assert "calibration" not in all_tables(runs)
