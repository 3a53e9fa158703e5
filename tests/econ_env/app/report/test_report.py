import base64
import gzip
import json
import re
import subprocess
import sys
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from econ_env.app.commands import report
from econ_env.app.entry import main
from econ_env.app.report import write_report
from econ_env.app.report.curves import read_all_curves, read_curves
from econ_env.app.report.episodes import pack_episodes, readable
from econ_env.app.report.page import _title, findings
from econ_env.app.report.plots import controls
from econ_env.app.report.runs import load_runs
from econ_env.app.report.style import DARK, LIGHT, NARROW, render_svg
from econ_env.app.report.terminal import print_summary
from tests.econ_env.app.report.made_runs import METHODS, add_training, make_run

HOSTILE = '</script><script>evil()</script><img src=x onerror="evil()">'


class Tags(HTMLParser):
    """Collects the elements of a page, with their attributes and the text of scripts."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.scripts, self._in = [], [], None
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._in = dict(attrs) if tag == "script" else None

    def handle_data(self, data):
        if self._in is not None:
            self.scripts.append((self._in, data))
            self._in = None


def unpack(text):
    return json.loads(gzip.decompress(base64.b64decode(text)))


@pytest.fixture(scope="module")
def page(run_folder, tmp_path_factory):
    return write_report([run_folder], tmp_path_factory.mktemp("out") / "report.html")


@pytest.fixture(scope="module")
def hostile_page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hostile")
    said = dict.fromkeys(("question", "strategy", "reply", "commitment", "gold", "kind", "error"), HOSTILE)
    methods = (("single", 1, 1), (HOSTILE, 3, 2))
    return write_report([make_run(folder / "logs", 2, said=said, methods=methods, config={"note": HOSTILE})])


def test_every_episode_is_in_the_page_with_its_texts(run_folder):
    runs = load_runs([run_folder])
    packed = pack_episodes(runs)
    listing = unpack(packed.listing)
    chunks = [unpack(chunk) for chunk in packed.chunks]
    lines = [json.loads(line) for line in (run_folder / "episodes.jsonl").read_text().splitlines()]
    by_key = {(line["method"], line["problem_id"]): line["episode"] for line in lines}
    assert packed.episodes == len(listing["episodes"]) == len(lines) == 36
    for entry in listing["episodes"]:
        episode = chunks[entry["at"][0]][entry["at"][1]]
        written = by_key[listing["methods"][entry["method"]], entry["problem"]]
        reply = episode["decisions"][0]["rounds"][0]["replies"][0]
        text = "".join(piece if isinstance(piece, str) else piece[0] for piece in reply["text"])
        assert text == written["decisions"][0]["rounds"][0]["replies"][0]["text"]
    first = [listing["methods"][entry["method"]] for entry in listing["episodes"][:3]]
    assert first == [name for name, *_ in METHODS]  # the methods' answers to one problem stand together


def test_rows_without_episodes_are_listed_all_the_same(tmp_path):
    folder = make_run(tmp_path / "logs", 2)
    (folder / "episodes.jsonl").unlink()
    packed = pack_episodes(load_runs([folder]))
    assert packed.chunks == []
    assert ["at" in entry for entry in unpack(packed.listing)["episodes"]] == [False] * 6


def test_of_an_episode_written_twice_the_last_one_counts(tmp_path):
    folder = make_run(tmp_path / "logs", 1)
    path = folder / "episodes.jsonl"
    again = json.loads(path.read_text().splitlines()[0])
    again["episode"]["problem"]["question"] = "asked again"
    with open(path, "a") as file:
        file.write(json.dumps(again) + "\n")
    packed = pack_episodes(load_runs([folder]))
    assert packed.episodes == 3
    assert unpack(packed.listing)["episodes"][0]["question"] == "asked again"


def test_local_commitments_are_shown(tmp_path):
    folder = make_run(tmp_path / "logs", 1, methods=(("bne", 3, 1),))
    path = folder / "episodes.jsonl"
    line = json.loads(path.read_text())
    round_ = line["episode"]["decisions"][0]["rounds"][0]
    local = {**round_["commitment"], "text": r"Locally \(x\)."}
    round_["clusters"] = [{"agents": ["executor_0", "executor_1"], "commitment": local}]
    path.write_text(json.dumps(line) + "\n")
    (chunk,) = pack_episodes(load_runs([folder])).chunks
    (cluster,) = unpack(chunk)[0]["decisions"][0]["rounds"][0]["clusters"]
    assert cluster["agents"] == ["executor_0", "executor_1"]
    assert [part if isinstance(part, str) else part[0] for part in cluster["text"]] == ["Locally ", r"\(x\)", "."]


@pytest.mark.parametrize(
    ("adds", "judged"), [(True, [["wrong"] * 3, ["wrong", None, "correct"]]), (False, [[], ["wrong", None, "correct"]])]
)
def test_verdicts_stand_with_the_replies_of_their_rounds(tmp_path, adds, judged):
    folder = make_run(tmp_path / "logs", 1, methods=(("esc", 3, 2),))
    path = folder / "episodes.jsonl"
    line = json.loads(path.read_text())
    decision = line["episode"]["decisions"][0]
    decision["rounds"][1]["adds"] = adds
    wrong = {"verdict": "wrong", "answer": "1", "rule": "rule-v1"}
    decision["replies_judged"] = [wrong] * (4 if adds else 1) + [None, {**wrong, "verdict": "correct"}]
    path.write_text(json.dumps(line) + "\n")
    (chunk,) = pack_episodes(load_runs([folder])).chunks
    shown = unpack(chunk)[0]["decisions"][0]
    assert shown["judged"] == judged
    assert [round_["adds"] for round_ in shown["rounds"]] == [False, adds]


@pytest.mark.parametrize(
    ("text", "parsed", "shown"),
    [
        (r'{"reasoning": "a \\(x\\)", "answer": "2"}', True, "reasoning: a \\(x\\)\n\nanswer: 2"),
        ('```json\n{"answer": 2}\n```', True, "answer: 2"),
        ('{"answer": 2}', False, '{"answer": 2}'),
        ('{"answer": [2]}', True, '{"answer": [2]}'),
        ("no braces", True, "no braces"),
        ("} {", True, "} {"),
        (None, False, None),
    ],
)
def test_json_replies_are_made_readable(text, parsed, shown):
    assert readable(text, parsed) == shown


def test_the_page_loads_nothing(page):
    text = page.read_text()
    for tag, attributes in Tags(text).tags:
        assert tag not in ("iframe", "object", "embed", "base", "form") or attributes.get("id") == "filters"
        assert "style" not in attributes
        for name, value in attributes.items():
            assert not name.startswith("on"), (tag, name)
            if name in ("src", "srcset", "href", "action"):
                assert value.startswith(("data:", "#")), (tag, name, value)
    assert "@import" not in text
    assert "url(" not in text


def test_the_policy_names_exactly_the_script_and_the_style(page):
    import hashlib

    text = page.read_text()
    (policy,) = (a["content"] for tag, a in Tags(text).tags if a.get("http-equiv") == "Content-Security-Policy")
    script = re.search(r"<script>(.*?)</script>", text, re.DOTALL)[1]
    style = re.search(r"<style>(.*?)</style>", text, re.DOTALL)[1]
    for name, own in (("script-src", script), ("style-src", style)):
        digest = base64.b64encode(hashlib.sha256(own.encode()).digest()).decode()
        assert f"{name} 'sha256-{digest}';" in policy
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy


def test_texts_of_models_never_become_markup(hostile_page):
    text = hostile_page.read_text()
    seen = Tags(text)
    assert "<script>evil" not in text
    assert "<img src=x" not in text
    assert [attributes for attributes, _ in seen.scripts if not attributes.get("type")] == [{}]
    assert all("onerror" not in attributes for _, attributes in seen.tags)
    assert "&lt;img src=x" in text  # it is there, as text


def test_hostile_texts_are_in_the_episodes_as_they_were(hostile_page):
    chunk = re.search(r'id="chunk-0">([^<]*)<', hostile_page.read_text())[1]
    assert HOSTILE in json.dumps(unpack(chunk)).replace('\\"', '"')


def test_plots_are_at_print_resolution(page):
    plots = {path.name for path in (page.parent / "plots").iterdir()}
    assert plots == {
        "accuracy_calls.png", "accuracy_tokens.png", "tokens_by_role.png", "controls.png", "residuals.png",
        "learning_curves.png",
    }  # fmt: skip
    for name in plots:
        with Image.open(page.parent / "plots" / name) as image:
            assert [round(dpi) for dpi in image.info["dpi"]] == [300, 300]
            assert np.asarray(image.convert("L")).std() > 5, name  # something is drawn


def test_the_same_run_gives_the_same_page(run_folder):
    runs = load_runs([run_folder])
    assert pack_episodes(runs) == pack_episodes(runs)
    draw = controls(runs).draw
    assert render_svg(draw, DARK, NARROW) == render_svg(draw, DARK, NARROW)
    assert render_svg(draw, DARK, NARROW) != render_svg(draw, LIGHT, NARROW)


def test_curves_are_read_from_event_files_and_training_rows(run_folder):
    (run,) = load_runs([run_folder]).runs
    curves = {curve.name: curve for curve in read_curves(run)}
    assert list(curves) == ["reward of an episode", "training/returns_stat/mean", "update/td_total"]
    assert curves["update/td_total"].values == pytest.approx([1 / (n + 1) for n in range(15)])
    assert curves["training/returns_stat/mean"].steps.tolist() == [4 * n for n in range(15)]
    assert curves["reward of an episode"].unit == "episodes"


def test_runs_in_folders_of_the_same_name_keep_their_own_curves(tmp_path):
    folders = [make_run(tmp_path / name / "logs", seed=seed) for seed, name in enumerate("ab")]
    for folder in folders:
        add_training(folder, episodes=8)
    curves = read_all_curves(load_runs(folders).runs)
    assert len(curves) == 2
    assert all(curves.values())


def test_findings_name_the_best_and_say_when_a_difference_is_not_clear(run_folder):
    runs = load_runs([run_folder])
    best = max(runs.overview["methods"].values(), key=lambda part: part["accuracy"]["correct"])
    said = " ".join(findings(runs))
    assert f"{100 * best['accuracy']['estimate']['value']:.1f}% of its answers" in said
    clear = runs.overview["methods"]["bne"]["difference"]["p_holm"] < 0.05
    assert ("no clear difference" in said) is not clear


def below_its_majority(folder):
    """Changes a run of eight problems so that the team is right on five, and the majority of its executors on six."""
    results = folder / "results.jsonl"
    rows = [json.loads(line) for line in results.read_text().splitlines()]
    for row in rows:
        number = int(row["problem"].rpartition("-")[2])
        row["verdict"] = "correct" if number < 5 else "wrong"
        for reply in row["replies"]:
            right = number < 6
            reply |= {"answer": row["gold"] if right else "no", "verdict": "correct" if right else "wrong"}
    results.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def test_the_page_says_first_that_the_team_is_below_its_majority(tmp_path):
    folder = below_its_majority(make_run(tmp_path / "logs", 8, methods=(("bne", 3, 1),)))
    said = (
        "ECON with 3 rounds was right less often than the majority of its own executors' last replies: 62.5% against "
        "75.0%, a difference within chance on 8 problems (p = 1.000, McNemar's exact test)."
    )
    runs = load_runs([folder])
    assert findings(runs)[0] == said
    lede = re.search(r'<p class="lede">(.*?)</p>', write_report([folder]).read_text())[1]
    assert lede == said.replace("'", "&#39;")
    console = Console(width=80, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    print_summary(console, runs)
    assert said in " ".join(console.export_text().split())


def test_runs_of_one_experiment_and_others_say_it_too(tmp_path):
    folders = [
        below_its_majority(make_run(tmp_path / name, 8, methods=(("bne", 3, 1),), seed=seed, config=config))
        for name, seed, config in (("a", 0, {}), ("b", 1, {}), ("c", 0, {"gamma": 0.1}))
    ]
    pooled = findings(load_runs(folders[:2]))[0]
    assert "62.5% against 75.0%, a difference within chance on 8 problems" in pooled
    assert "a sign-flip permutation test over problems" in pooled
    apart = findings(load_runs([folders[0], folders[2]]))[0]
    assert apart.startswith("In 2 of 2 runs the team was right less often than the majority of its own executors'")
    assert "a: ECON with 3 rounds 62.5% against 75.0% (within chance, p = 1.000); c: ECON" in apart


def test_every_picture_has_a_text_and_comes_light_and_dark(page):
    tags = Tags(page.read_text()).tags
    images = [attributes for tag, attributes in tags if tag == "img"]
    assert len(images) == 6
    assert all(len(image["alt"]) > 40 for image in images)
    assert "ECON with 3 rounds: " in images[0]["alt"]  # the numbers of the picture
    sources = [attributes["media"] for tag, attributes in tags if tag == "source"]
    assert sum("dark" in media for media in sources) == sum("dark" not in media for media in sources) + len(images)


def test_a_comparison_that_the_headline_tells_is_told_once(tmp_path):
    folder = make_run(tmp_path / "logs", 8, methods=(("bne", 3, 1), ("single", 1, 1)))
    results = folder / "results.jsonl"
    rows = [json.loads(line) for line in results.read_text().splitlines()]
    for row in rows:
        row["verdict"] = "correct" if row["method"] == "single" else "wrong"
        for reply in row["replies"]:
            reply["verdict"] = row["verdict"]
    results.write_text("".join(json.dumps(row) + "\n" for row in rows))
    said = findings(load_runs([folder], baseline="bne"))
    assert said[0].startswith("One greedy call was right more often than ECON with 3 rounds: 100.0% against 0.0%, a")
    assert "more than chance on 8 problems" in said[0]
    assert len(said) == 2


def test_the_summary_fits_eighty_columns(run_folder):
    console = Console(width=80, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    print_summary(console, load_runs([run_folder]))
    lines = console.export_text().splitlines()
    table = [line for line in lines if not line.startswith(str(run_folder))]
    assert max(map(len, table)) <= 80
    for name in ("ECON with 3", "ECON with 1", "One greedy"):
        assert sum(line.startswith(f"{name} ") for line in table) >= 4
    assert "ECON with 1 round is no_bne, ECON with 3 rounds is bne" in " ".join(" ".join(table).split())
    assert "…" not in "".join(table)


def run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["report", *map(str, arguments)])
    main(report)


def test_the_command_writes_beside_the_run_and_says_what_is_not_complete(tmp_path, monkeypatch, capsys):
    folder = make_run(tmp_path / "a b" / "logs", 1, complete=False)
    run(monkeypatch, folder, "--baseline", "no_bne")
    assert "is not complete" in (folder / "report.html").read_text()
    printed = capsys.readouterr().out
    assert "vs ECON with 1" in printed
    assert "(not complete)" in printed


def test_the_summary_alone_writes_nothing(run_folder, monkeypatch, capsys):
    before = sorted(run_folder.iterdir())
    run(monkeypatch, run_folder, "--summary-only")
    assert sorted(run_folder.iterdir()) == before
    assert "vs One greedy call" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["nowhere"], "error: nowhere has no results.jsonl"), ([], "error: Missing argument")],
)
def test_bad_input_is_one_line_and_exit_code_two(arguments, said, monkeypatch, capsys):
    with pytest.raises(SystemExit) as ended:
        run(monkeypatch, *arguments)
    error = capsys.readouterr().err
    assert ended.value.code == 2
    assert error.startswith(said)
    assert error.count("\n") == 1


def test_the_package_is_not_imported_by_the_environment():
    code = (
        "import sys, econ_env; print([m for m in sys.modules if m.startswith(('econ_env.app.report', 'matplotlib'))])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("dataset", "shown"),
    [
        ("/home/ann/svamp.jsonl", "svamp.jsonl"),
        ("org/set-v1.0", "org/set-v1.0"),
        ("bundled:1", "bundled:1"),
    ],
)
def test_the_title_names_a_file_without_its_folders(tmp_path, dataset, shown):
    run = make_run(tmp_path / "run")
    for name in ("run.json", "summary.json"):
        path = run / name
        if path.exists():
            path.write_text(path.read_text().replace('"made up"', json.dumps(dataset)))
    assert _title(load_runs([run])).startswith(f"{shown}: 12 problems")
