from dataclasses import replace

import pytest

from econ_env.app.report.cells import DASH
from econ_env.app.report.plots import residuals_by_step
from econ_env.app.report.runs import load_runs
from econ_env.app.report.tables import accuracy, all_tables, controls, refinement, team, transitions
from tests.econ_env.app.report.made_runs import make_run


@pytest.fixture(scope="module")
def runs(run_folder):
    return load_runs([run_folder])


def changed(runs, **overview):
    return replace(runs, overview={**runs.overview, **overview})


def test_accuracy_is_what_the_overview_says(runs):
    table = accuracy(runs)
    part = runs.overview["methods"]["bne"]
    row = next(row for row in table.rows if row[0].text == "ECON with 3 rounds")
    assert row[0].detail == "bne"
    found = part["accuracy"]
    assert row[1].text == f"{found['correct']}/12"
    assert row[2].text == f"{100 * found['correct'] / 12:.1f}"
    assert row[2].bar == tuple(found["estimate"].values())
    assert row[3].bar == tuple(part["difference"]["estimate"].values())
    assert all(len(row) == len(table.columns) for row in table.rows)


def test_bars_stay_in_their_columns(runs):
    table = accuracy(runs)
    for row in table.rows:
        for cell, column in zip(row, table.columns, strict=True):
            if cell.bar:
                assert all(column.span[0] <= end <= column.span[1] for end in cell.bar if end is not None)


def test_nothing_judged_is_a_dash_and_not_a_zero(runs):
    empty = {**runs.overview["methods"]["bne"], "accuracy": None, "difference": None}
    table = accuracy(changed(runs, methods={**runs.overview["methods"], "bne": empty}))
    assert [cell.text for cell in table.rows[2][1:4]] == [DASH] * 3


def test_columns_in_which_nothing_stands_are_left_out(tmp_path):
    def names(folder):
        return [column.name for column in all_tables(load_runs([folder]))["cost"].columns]

    folder = make_run(tmp_path / "logs", 2)
    assert "Cost" in names(folder)
    results = folder / "results.jsonl"
    results.write_text("".join(_without_price(line) for line in results.read_text().splitlines(keepends=True)))
    assert "Cost" not in names(folder)


def _without_price(line):
    before, _, rest = line.partition('"usd": ')
    return f'{before}"usd": null{rest[rest.index(",") :]}'


def test_controls_are_averaged_per_kind_and_once_where_they_never_change(runs):
    lines = {(row[0].text, row[1].text): row for row in controls(runs).rows}
    name = runs.names["bne"]
    kinds = [kind for label, kind in lines if label == name]
    assert kinds == ["level1", "level2", "level3"]
    rows = [row for row in runs.methods["bne"] if row["kind"] == "level2"]
    values = [reply["temperature"] for row in rows for reply in row["replies"]]
    assert lines[name, "level2"][2].text.startswith(f"{sum(values) / len(values):.2f} ±")
    fixed = [{**row, "replies": [{**r, "temperature": 0.7, "p": 1.0} for r in row["replies"]]} for row in runs.rows]
    assert [row[1].text for row in controls(replace(runs, rows=fixed)).rows] == ["all"] * 3


def test_steps_and_reasons_are_counted(runs):
    assert {row[0].text for row in transitions(runs).rows} == {"ECON with 3 rounds"}
    steps = runs.overview["methods"]["bne"]["transitions"]
    assert [int(cell.text) for cell in transitions(runs).rows[0][2:]] == [
        steps[0][key] for key in ("right_right", "wrong_right", "right_wrong", "wrong_wrong")
    ]
    lines = {row[0].text: row for row in refinement(runs).rows}
    assert "One greedy call" not in lines
    reasons = [reason for row in runs.methods["bne"] for reason in row["stop_reasons"]]
    assert lines["ECON with 3 rounds"][1].text == f"{100 * reasons.count('commitment_repeated') / len(reasons):.0f}"


def test_residuals_of_several_decisions_start_anew():
    row = {"rounds": [3, 1, 2], "stop_reasons": ["max_rounds", "small_change", "oscillation"]}
    row["residuals"] = [0.5, 0.4, 0.01, 0.3, 0.2]
    assert residuals_by_step([row]) == [[0.5, 0.01, 0.3], [0.4, 0.2]]
    assert residuals_by_step([{**row, "residuals": [0.5]}]) == []


def test_the_team_stands_beside_the_majority_of_its_executors(runs):
    table = team(runs)
    lines = {row[0].text: row for row in table.rows}
    place = [column.name for column in table.columns].index("Against own majority")
    gain = runs.overview["methods"]["bne"]["own_majority"]["estimate"]
    assert lines["ECON with 3 rounds"][place].bar == tuple(gain.values())
    assert lines["One greedy call"][place].text == DASH


def test_names_in_files_are_shown_beside_the_readable_ones(runs):
    assert [row[0].detail for row in accuracy(runs).rows] == ["single", "no_bne", "bne"]
    assert [row[0].hint for row in team(runs).rows] == ["single", "no_bne", "bne"]
