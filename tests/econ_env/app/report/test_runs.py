import json

import pytest

from econ_env.app.report.runs import load_runs
from econ_env.errors import ConfigError, TraceError
from tests.econ_env.app.report.made_runs import make_run


def test_a_run_keeps_its_rows_and_its_methods(run_folder):
    runs = load_runs([run_folder])
    assert [(label, len(rows)) for label, rows in runs.methods.items()] == [("single", 12), ("no_bne", 12), ("bne", 12)]
    assert runs.overview["baseline"] == "single"
    assert runs.overview["reference"] == "bne"
    assert runs.overview["methods"]["bne"]["n"] == 12


def test_seeds_of_one_experiment_are_pooled(tmp_path):
    folders = [make_run(tmp_path / f"seed{seed}", 4, seed=seed) for seed in (0, 1)]
    runs = load_runs(folders)
    assert {label: len(rows) for label, rows in runs.methods.items()} == {"single": 8, "no_bne": 8, "bne": 8}
    assert runs.overview["seeds"] == [0, 1]


def test_runs_with_other_settings_are_told_apart_by_their_folders(tmp_path):
    folders = [make_run(tmp_path / name, 3, config={"gamma": gamma}) for name, gamma in (("low", 0.1), ("high", 0.9))]
    runs = load_runs(folders)
    assert list(runs.methods) == [
        f"{name}: {method}" for name in ("low", "high") for method in ("single", "no_bne", "bne")
    ]
    difference = runs.overview["methods"]["high: bne"]["difference"]
    assert runs.overview["baseline"] == "low: single"
    assert difference["problems"] == 3


def test_the_same_seed_twice_is_not_pooled(tmp_path):
    runs = load_runs([make_run(tmp_path / name / "logs", 3) for name in ("a", "b")])
    assert f"{tmp_path / 'a' / 'logs'}: bne" in runs.methods
    assert len(runs.methods) == 6


def test_problems_of_other_sources_are_never_paired(tmp_path):
    first, second = (make_run(tmp_path / name, 3, config={"gamma": name}) for name in ("a", "b"))
    results = second / "results.jsonl"
    results.write_text(results.read_text().replace('"source": "made up"', '"source": "elsewhere"'))
    assert load_runs([first, second]).overview["methods"]["b: bne"]["difference"] is None


def test_a_baseline_can_be_chosen(run_folder):
    assert load_runs([run_folder], "no_bne").overview["baseline"] == "no_bne"
    with pytest.raises(ConfigError, match=r"no method 'nobne'.*single, no_bne, bne"):
        load_runs([run_folder], "nobne")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("results.jsonl", None, "has no results.jsonl"),
        ("results.jsonl", "", "has no rows yet"),
        ("results.jsonl", '{"method": "bne"}\n', "line 1 has no 'problem'"),
        ("summary.json", "[]", "is not a JSON object"),
        ("run.json", "{", "can't be read"),
    ],
)
def test_bad_folders_are_one_clear_error(tmp_path, name, content, said):
    folder = make_run(tmp_path / "logs", 1)
    if content is None:
        (folder / name).unlink()
    else:
        (folder / name).write_text(content)
    with pytest.raises(TraceError, match=said):
        load_runs([folder])


def test_no_folder_is_an_error():
    with pytest.raises(ConfigError, match="no log folder"):
        load_runs([])


def test_a_run_that_is_not_closed_yet_can_be_read(tmp_path):
    folder = make_run(tmp_path / "logs", 2)
    (folder / "summary.json").unlink()
    with open(folder / "results.jsonl", "a") as file:
        file.write('{"torn')
    runs = load_runs([folder])
    assert len(runs.rows) == 6
    assert not runs.runs[0].complete


def test_an_episode_of_training_that_was_played_again_counts_once(tmp_path):
    folder = make_run(tmp_path / "logs", 1)
    rows = [{"episode": 1, "reward": 0.1}, {"episode": 0, "reward": 0.2}, {"episode": 1, "reward": 0.3}]
    (folder / "training.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert [row["reward"] for row in load_runs([folder]).runs[0].training] == [0.2, 0.3]
