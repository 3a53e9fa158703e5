import json
import math

import numpy as np
import pytest

from econ_env.app.report.calibration import BELIEF, CONFIDENCE, calibration, calibration_of
from econ_env.app.report.calibration_plot import calibration_plots
from econ_env.app.report.page import SECTIONS
from econ_env.app.report.runs import load_runs
from econ_env.app.report.style import LIGHT, WIDE, render_svg, short
from econ_env.app.report.tables import all_tables
from tests.econ_env.app.report.made_runs import make_run


def reply(probability, verdict):
    return {"verdict": verdict, "confidence": {"mean": math.log(probability), "lowest": -1.0, "tokens": 9}}


def test_bins_and_error_are_those_worked_out_by_hand():
    # ten replies at 0.5 of which five are right, ten at 0.9 of which six are: error (0 + 0.3) / 2
    low = [reply(0.5, "correct")] * 5 + [reply(0.5, "wrong")] * 5
    high = [reply(0.9, "correct")] * 6 + [reply(0.9, "no_answer")] * 4
    found = calibration_of([{"replies": low}, {"replies": high}], CONFIDENCE)
    assert found.replies == 20
    assert found.sizes.tolist() == [10, 10]
    assert found.forecast == pytest.approx([0.5, 0.9])
    assert found.right == pytest.approx([0.5, 0.6])
    assert found.error == pytest.approx(0.15)


def test_confidences_that_are_right_as_often_as_they_say_have_no_error():
    rng = np.random.default_rng(0)
    sure = rng.uniform(0.2, 1.0, 20_000)
    replies = [reply(p, "correct" if hit else "wrong") for p, hit in zip(sure, rng.random(20_000) < sure, strict=True)]
    found = calibration_of([{"replies": replies}], CONFIDENCE)
    assert len(found.sizes) == 10
    assert found.sizes.tolist() == [2000] * 10
    assert found.error < 0.02


def test_equal_confidences_share_a_bin_and_unsaid_replies_do_not_count():
    unsaid = [reply(0.3, "silent"), reply(0.3, "invalid"), {"verdict": "correct", "confidence": None}]
    found = calibration_of([{"replies": [reply(0.7, "correct")] * 50 + unsaid}], CONFIDENCE)
    assert found.sizes.tolist() == [50]
    assert calibration_of([{"replies": unsaid}], CONFIDENCE) is None


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
    table = calibration(sure_run, CONFIDENCE)
    assert [row[0].text for row in table.rows] == ["One greedy call", "ECON with 1 round", "ECON with 3 rounds"]
    assert [row[1].text for row in table.rows] == ["30", "90", "90"]
    own = calibration_of(sure_run.methods["bne"], CONFIDENCE)
    assert table.rows[2][4].text == f"{100 * own.error:.1f}"
    assert [column.name for column in table.columns][4:] == ["Calibration error"]
    plots = calibration_plots(sure_run)
    assert list(plots) == ["calibration"]
    assert "beliefs" not in all_tables(sure_run)
    plot = plots["calibration"]
    assert b"confidence of replies" in render_svg(plot.draw, LIGHT, WIDE)


def test_nothing_is_shown_where_no_reply_has_one(run_folder):
    runs = load_runs([run_folder])
    assert calibration_plots(runs) == {}
    assert not {"calibration", "beliefs"} & set(all_tables(runs))


def test_beliefs_and_their_log_score_are_those_worked_out_by_hand():
    # six of ten believed 0.75 are right, and two of ten believed 0.25: error (0.15 + 0.05) / 2
    told = [(0.75, "correct")] * 6 + [(0.75, "wrong")] * 4 + [(0.25, "correct")] * 2 + [(0.25, "wrong")] * 8
    said = [{"verdict": verdict, "believed": believed, "confidence": None} for believed, verdict in told]
    other = [{"verdict": "silent", "believed": None}, {"verdict": "no_answer", "believed": None}, {"verdict": "wrong"}]
    found = calibration_of([{"replies": said}, {"replies": other}], BELIEF)
    assert (found.replies, found.error) == (20, pytest.approx(0.1))
    # 0.75 was given to what happened 14 times, 0.25 six times; 8 of 20 are right
    assert found.log_score == pytest.approx(-(14 * math.log(0.75) + 6 * math.log(0.25)) / 20)
    assert found.constant_log_score == pytest.approx(-(0.4 * math.log(0.4) + 0.6 * math.log(0.6)))
    assert calibration_of([{"replies": said}], CONFIDENCE) is None


def test_a_belief_that_is_sure_and_wrong_has_a_finite_log_score():
    replies = [{"verdict": "wrong", "believed": 1.0}, {"verdict": "correct", "believed": 1.0}]
    found = calibration_of([{"replies": replies}], BELIEF)
    assert found.log_score == pytest.approx(-math.log(1e-4) / 2)
    sure = calibration_of([{"replies": replies[1:]}], BELIEF)
    assert (sure.log_score, sure.constant_log_score) == (0.0, 0.0)


@pytest.fixture
def believing(tmp_path):
    """A run whose teams believe 0.75 of right replies and 0.25 of others, in `bne` alone."""
    folder = make_run(tmp_path / "logs", 30)
    results = folder / "results.jsonl"
    rows = [json.loads(line) for line in results.read_text().splitlines()]
    for one in (one for row in rows if row["method"] == "bne" for one in row["replies"]):
        one["believed"] = 0.75 if one["verdict"] == "correct" else 0.25
    results.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def test_the_page_has_curve_and_table_of_beliefs_where_a_team_has_some(believing):
    runs = load_runs([believing])
    table = all_tables(runs)["beliefs"]
    ((name, replies, believed, right, error, score, constant),) = [[cell.text for cell in row] for row in table.rows]
    assert (name, replies) == ("ECON with 3 rounds", "90")
    share = np.mean([one["verdict"] == "correct" for row in runs.methods["bne"] for one in row["replies"]])
    assert (believed, right) == (f"{25 + 50 * share:.1f}", f"{100 * share:.1f}")
    assert (error, score) == ("25.0", f"{-math.log(0.75):.3f}")
    assert constant == f"{-share * math.log(share) - (1 - share) * math.log(1 - share):.3f}"
    plots = calibration_plots(runs)
    assert list(plots) == ["beliefs"]
    drawn = render_svg(plots["beliefs"].draw, LIGHT, WIDE)
    assert b"believed to be right (%)" in drawn
    assert b"belief = share right" in drawn
    assert drawn.count(b"ECON with 3 rounds") == 1
    assert ("beliefs", "Beliefs", tuple(plots), ("beliefs",)) in SECTIONS


def test_labels_that_differ_in_brackets_differ_when_they_are_cut():
    names = [f"ECON, executors choosing when to speak ({key})" for key in ("bne", "no_bne")]
    assert [short(name) for name in names] == [
        "ECON, executors choosing when to … (bne)", "ECON, executors choosing when … (no_bne)"
    ]  # fmt: skip
    assert short("a (in brackets that are much too long for any label)") == "a (in brackets that are much too long f…"
