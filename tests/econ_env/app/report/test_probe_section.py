import json
from typing import get_args

import pytest

from econ_env.app.report import write_report
from econ_env.app.report.probe import VERDICTS, probe, probed
from econ_env.app.report.probe_plot import MARKS, probe_plots
from econ_env.app.report.runs import load_runs
from econ_env.app.report.style import DARK, NARROW, render_svg
from econ_env.app.report.tables import all_tables
from econ_env.llm.probe import Line, Probed, Verdict
from tests.econ_env.app.report.made_runs import make_run

LINES = (
    Line("temperature", "dead", "twelve replies at 0 and at 1.5", "12 the same", 1.0, 24),
    Line("repetition_penalty", "alive", "the longest run of a word", "20 and 3", 0.001, 6),
    Line("seed", "unclear", "", "", None, 2),
)


@pytest.fixture
def runs(tmp_path):
    folder = make_run(tmp_path / "logs", 2)
    path = folder / "summary.json"
    found = Probed("http://127.0.0.1:1/v1", "small-model", "short", LINES, 32, 900, 1.5)
    path.write_text(json.dumps({**json.loads(path.read_text()), "probe": [found.plain()]}))
    return load_runs([folder])


def test_verdicts_stand_in_plain_words(runs):
    assert [[cell.text for cell in row] for row in probe(runs).rows] == [
        ["small-model", "Temperature", "has no effect", "twelve replies at 0 and at 1.5", "12 the same", "1.000"],
        ["small-model", "Repetition penalty", "has an effect", "the longest run of a word", "20 and 3", "0.001"],
        ["small-model", "Seed", "unclear", "", "–", "–"],
    ]


def test_the_picture_names_what_has_no_effect(runs):
    plot = probe_plots(runs)["probe"]
    assert plot.caption.endswith("Without effect: Temperature of small-model.")
    assert "Repetition penalty: has an effect" in plot.words
    drawn = render_svg(plot.draw, DARK, NARROW).decode()
    for words in ("small-model", "has no effect", "has an effect", "unclear"):
        assert words in drawn


def test_every_verdict_has_words_and_a_mark_of_its_own():
    assert set(VERDICTS) == set(MARKS) == set(get_args(Verdict))
    assert len({mark for mark, _ in MARKS.values()}) == len(MARKS)


def test_models_of_several_servers_are_told_apart(runs):
    own = runs.runs[0].summary["probe"]
    own.append({**own[0], "where": "http://127.0.0.1:2/v1"})
    models = {found.model for found in probed(runs)}
    assert models == {"small-model at http://127.0.0.1:1/v1", "small-model at http://127.0.0.1:2/v1"}


def test_without_a_probe_there_is_nothing(run_folder):
    runs = load_runs([run_folder])
    assert probe_plots(runs) == {}
    assert "probe" not in all_tables(runs)


def test_the_page_has_picture_and_table(runs, tmp_path):
    page = write_report([runs.runs[0].path], tmp_path / "report.html").read_text()
    assert page.count("Which controls have an effect") >= 2
    assert (tmp_path / "plots" / "probe.png").is_file()
