"""`econ bank`: what it prints of a bank, and the banks that it makes of logs."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from econ_env import load_bank
from econ_env.answers import DEFAULT_RULE
from econ_env.app.cli import econ
from econ_env.recorded import Manifest, write_bank
from econ_env.recorded.columns import WORKING
from tests.econ_env.recorded.made_banks import file_of, row, two_cells

REPLY = "First I add. The answer is {}."
LOG = [
    {"task_id": 7, "gen": {"text": REPLY.format(3)}, "params": [{"T": 0.5}], "target": "#### 3", "who": "a"},
    {"task_id": 7, "gen": {"text": REPLY.format(4)}, "params": [{"T": 0.5}], "target": "#### 3", "who": "b"},
    {"task_id": 9, "gen": {"text": "I give up"}, "params": [{"T": 1.0}], "target": 1234.0, "who": "a"},
]
COLUMNS = {"problem": "task_id", "reply": "gen.text", "temperature": "params.0.T", "gold": "target", "model": "who"}


@pytest.fixture
def bank(run):
    """Runs the command."""
    return lambda *arguments: run(econ, "bank", *arguments)


@pytest.fixture
def make(bank):
    """Makes a bank of a log."""

    def made(log, *arguments, columns=(), out="made.parquet"):
        named = [word for name, where in dict(columns).items() for word in ("--column", f"{name}={where}")]
        return bank("--from", log, "--out", out, *named, *arguments)

    return made


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in LOG))
    return path


def table(path="made.parquet"):
    return pq.read_table(path).to_pylist()


def fits(text):
    """Without the lines that name files, which are longer."""
    return all(len(line) <= 80 for line in text.splitlines() if "recorded:" not in line)


def test_the_shipped_bank_is_described(bank):
    done = bank("gsm8k-small7")
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert lines[0] == "bank     gsm8k-small7: 9,233 replies to 1,319 problems by 7 models"
    assert "samples  1 of each problem and cell" in lines
    assert "always   temperature 0, repetition_penalty 1" in lines
    assert "texts    no questions, no texts of replies" in lines
    (own,) = [line for line in lines if line.startswith("gemma-2-2b-it")]
    assert re.fullmatch(r"gemma-2-2b-it +52\.8% \[50, 55\]  0\.3%    527", own.strip())
    assert 'play it: econ_env.parallel_env(llm="recorded:gsm8k-small7")' in lines
    assert any(re.match(r"majority  91\.\d% \[", line) for line in lines)
    assert fits(done.out)
    assert bank("recorded:gsm8k-small7").out == done.out


def test_the_line_of_python_plays_it(bank, tmp_path):
    write_bank(tmp_path / "made.parquet", two_cells(2, 2), Manifest())
    (line,) = re.findall(r"play it: (.*)", bank("made.parquet").out)
    names = {"econ_env": __import__("econ_env")}
    env = eval(line, names)
    env.reset(seed=0)
    holed = [*two_cells(2, 1), row("p0", "1", temperature=0.5, repetition_penalty=1.2)]
    write_bank(tmp_path / "holed.parquet", holed, Manifest())
    done = bank("holed.parquet")
    assert "not every combination of its controls is on record: only the nearest can be played" in done.out
    (line,) = re.findall(r"play it: (.*)", done.out)
    eval(line, names).reset(seed=0)


def test_cells_samples_and_what_is_missing_are_shown(bank, tmp_path):
    rows = [r for r in two_cells(3, 3, ("a", "b")) if (r.problem, r.temperature, r.sample) != ("p1", 1.0, 2)]
    rows = [r for r in rows if (r.problem, r.temperature) != ("p2", 1.0)]
    write_bank(tmp_path / "made.parquet", rows, Manifest(source="by hand", engine="none"))
    done = bank("made.parquet")
    text = re.sub(" +", " ", done.out)
    assert "source by hand\n" in text
    assert "engine none\n" in text
    assert "\na 0.2 3 3 100.0% [44, 100] 100.0% 100.0% 0.0%\n" in text
    assert "\nb 1 2 2-3 0.0% [0, 66] 0.0% 0.0% 0.0%\n" in text
    assert "1 problem lacks a reply in some cell" in text
    assert "two samples of one cell agree in 50%\n" in text


def test_many_cells_are_cut_and_all_are_in_the_json(bank, tmp_path):
    rows = [row("p", "1", temperature=n / 100) for n in range(60)]
    write_bank(tmp_path / "made.parquet", rows, Manifest())
    assert "and 20 more cells: --json has all" in bank("made.parquet").out
    found = json.loads(bank("made.parquet", "--json").out)
    assert len(found["cells"]) == 60
    assert (found["name"], found["rule"], found["models"]) == ("made.parquet", DEFAULT_RULE.name, ["m"])


def test_long_names_of_models_do_not_break_the_table(bank, tmp_path):
    name, cell = "organisation/a-model-with-a-very-long-name", {"temperature": 0.7, "repetition_penalty": 1.0}
    rows = [
        row(problem, "1", model=f"{name}-{n}-instruct", **cell, tokens=10, finish_reason="stop", sample=sample)
        for n in range(9)
        for problem in ("p", "q")
        for sample in range(3)
    ]
    write_bank(tmp_path / "made.parquet", rows, Manifest())
    assert fits(bank("made.parquet").out.replace("bank     made.parquet: 54 replies to 2 problems by 9 models", ""))


def test_a_log_becomes_a_bank(make, log):
    done = make(log, columns=COLUMNS)
    assert done.code == 0, done.err
    assert f"answers read by {DEFAULT_RULE.name}; 1 of 3 replies have none" in done.out
    nothing = dict.fromkeys(WORKING, 0)
    assert table() == [
        {"problem": "7", "model": "a", "temperature": 0.5, "gold": "3", "answer": "3", "reply_chars": 29,
         "correct": True, "reply": REPLY.format(3), **nothing},
        {"problem": "7", "model": "b", "temperature": 0.5, "gold": "3", "answer": "4", "reply_chars": 29,
         "correct": False, "reply": REPLY.format(4), **nothing},
        {"problem": "9", "model": "a", "temperature": 1.0, "gold": "1234", "answer": None, "reply_chars": 9,
         "correct": False, "reply": "I give up", **nothing},
    ]  # fmt: skip
    assert load_bank("made.parquet").manifest.answer_rule == DEFAULT_RULE.name
    assert "bank     made.parquet: 3 replies to 2 problems by 2 models\n" in done.out


def test_formats_are_read_alike(make, log, tmp_path):
    flat = [{name: ({"task_id": str(line["task_id"]), "reply": line["gen"]["text"], "who": line["who"],
                     "target": str(line["target"]), "T": str(line["params"][0]["T"])})[name]
             for name in ("task_id", "reply", "who", "target", "T")} for line in LOG]  # fmt: skip
    names = {"problem": "task_id", "temperature": "T", "gold": "target", "model": "who"}
    cells = [list(flat[0]), *(list(line.values()) for line in flat)]
    (tmp_path / "log.csv").write_text("\n".join(",".join(line) for line in cells))
    (tmp_path / "log.tsv").write_text("\n".join("\t".join(line) for line in cells))
    with gzip.open(tmp_path / "log.jsonl.gz", "wt") as file:
        file.write("\n".join(map(json.dumps, flat)))
    (tmp_path / "log.json").write_text(json.dumps(flat))
    pq.write_table(pa.Table.from_pylist(flat), tmp_path / "log.parquet")
    make(log, columns=COLUMNS)
    expected = table()
    for name in ("log.csv", "log.tsv", "log.jsonl.gz", "log.json", "log.parquet"):
        done = make(name, "--force", columns=names)
        assert done.code == 0, done.err
        assert table() == expected, name


def test_columns_with_their_own_names_constants_and_facts(make, tmp_path):
    file_of(tmp_path, {"problem": [1, 2], "gold": ["A", "B"], "answer": ["A", None], "correct": [1, 0],
                       "rep_penalty": [1.1, 1.1], "noise": [{"x": 1}, {"x": 2}]}, "log.parquet")  # fmt: skip
    done = make(
        "log.parquet", "--set-column", "model=Some Model", "--set-column", "temperature=0.3", "--source", "me, MIT",
        "--dataset", "exam", "--engine", "vllm", "--prompts", "zero-shot",
    )  # fmt: skip
    assert done.code == 0, done.err
    bank = load_bank("made.parquet")
    assert bank.models == ("Some Model",)
    assert bank.cell_controls_GA.tolist() == [[0.3, 1.1]]
    about = bank.manifest
    assert (about.source, about.dataset, about.engine, about.prompts) == ("me, MIT", "exam", "vllm", "zero-shot")
    assert (about.answer_rule, bool(about.made)) == ("", True)  # the log's own answers and verdicts
    assert bank.correct_R.tolist() == [1, 0]
    dropped = make("log.parquet", "--column", "correct=", "--force")
    assert dropped.code == 0
    assert load_bank("made.parquet").manifest.answer_rule == DEFAULT_RULE.name


def test_questions_and_golds_are_joined_by_problem(make, tmp_path):
    file_of(tmp_path, {"problem": [1, 0, 1], "model": ["a", "a", "b"],
                       "reply": [REPLY.format(n) for n in (5, 6, 7)]}, "log.parquet")  # fmt: skip
    file_of(
        tmp_path, {"problem": [0, 1, 2], "question": ["zero?", "one?", "two?"], "gold": ["6", "5", "9"]}, "q.parquet"
    )
    done = make("log.parquet", "--questions", "q.parquet", "--set-column", "temperature=0")
    assert done.code == 0, done.err
    assert [(line["problem"], line["question"], line["gold"], line["correct"]) for line in table()] == [
        ("1", "one?", "5", True), ("0", "zero?", "6", True), ("1", "one?", "5", False),
    ]  # fmt: skip
    bare = make("log.parquet", "--questions", "q.parquet", "--no-texts", "--force")
    assert bare.code == 0
    assert set(table()[0]) == {"problem", "model", "gold", "answer", "reply_chars", "correct", *WORKING}
    assert [line["working_numbers"] for line in table()] == [0, 0, 0]


def test_questions_of_exams_are_joined_by_both(make, tmp_path):
    keys = {"exam": ["law", "art"], "problem": [1, 1]}
    file_of(tmp_path, {**keys, "answer": ["A", "B"]}, "log.parquet")
    file_of(tmp_path, {**keys, "gold": ["A", "C"], "question": ["?", "!"]}, "q.parquet")
    assert make("log.parquet", "--questions", "q.parquet").code == 0
    assert [(line["gold"], line["question"], line["correct"]) for line in table()] == [
        ("A", "?", True),
        ("C", "!", False),
    ]


def test_some_models_are_kept(make, log):
    done = make(log, "--models", "b", columns=COLUMNS)
    assert done.code == 0
    assert {line["model"] for line in table()} == {"b"}
    done = make(log, "--models", "b,C", "--force", columns=COLUMNS)
    assert done.code == 2
    assert done.err == f"error: {log} has no model 'C'. It has a, b\n"


def test_an_existing_file_is_kept_unless_it_is_forced(make, log):
    Path("made.parquet").write_text("mine")
    done = make(log, columns=COLUMNS)
    assert done.code == 2
    assert "made.parquet exists; give another --out, or --force to replace it" in done.err
    assert Path("made.parquet").read_text() == "mine"
    broken = make(log, "--force", columns={**COLUMNS, "gold": "who"})
    assert broken.code == 2
    assert Path("made.parquet").read_text() == "mine"
    assert make(log, "--force", columns=COLUMNS).code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give the FILE of a bank to say what is in it, or --from LOG --out FILE to make one"),
        (["nowhere.parquet"], "there is no bank nowhere.parquet."),
        (["log.jsonl"], "log.jsonl is no Parquet file that can be read"),
        (["half.parquet"], "half.parquet has no columns gold and answer; it has problem, model, reply."),
        (["gsm8k-small7", "--out", "x.parquet"], "--out goes with --from LOG, which makes a bank of a log"),
        (["gsm8k-small7", "--no-texts"], "--texts goes with --from LOG, which makes a bank of a log"),
        (["--from", "log.jsonl"], "a bank is made with --from LOG --out FILE, and no other file"),
        (["gsm8k-small7", "--from", "log.jsonl", "--out", "x.parquet"], "a bank is made with --from LOG --out FILE"),
        (["--from", "log.jsonl", "--out", "x.parquet", "--json"], "--json says what is in a FILE; leave it"),
        (["gsm8k-small7", "--answer-rule", "ecom"], "unknown answer rule 'ecom'; did you mean 'econ'?"),
    ],
)  # fmt: skip
def test_what_can_not_be_described_is_one_line(bank, log, tmp_path, arguments, message):
    file_of(tmp_path, {"problem": [0], "model": ["m"], "reply": ["The answer is 1."]}, "half.parquet")
    done = bank(*arguments)
    assert done.code == 2
    assert message in done.err
    assert done.err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--from", "nowhere.jsonl"], "there is no file nowhere.jsonl"),
        (["--from", "log.txt"], "log.txt is no .jsonl, .ndjson, .json, .csv, .tsv, .parquet file"),
        (["--column", "problm=task_id"], "a bank has no column 'problm'. Did you mean 'problem'? It may have"),
        (["--column", "problem"], "--column needs NAME=VALUE, got 'problem'"),
        (["--column", "model=who", "--column", "model=x"], "--column names model twice"),
        (["--column", "model=who", "--set-column", "model=x"], "the column model is named and set: give one of them"),
        (["--column", "model=whom"], "log.jsonl has no column 'whom' for model; it has task_id, gen, "),
        (["--column", "reply=gen.txt"], "row 0 of log.jsonl: there is no 'gen.txt': gen has text"),
        (["--column", "reply=gen"], "row 0 of log.jsonl: reply must be text or a number, got {'text': "),
        (["--column", "reply=gen.text"], "log.jsonl has no columns problem and gold: name them with --column problem="
         "NAME, or golds with --questions FILE; it has task_id, gen, params, target, who"),
        (["--set-column", "temperature=hot"], "the set columns: temperature must be a number, got 'hot'"),
        (["--column", "tokens=params"], "row 0 of log.jsonl: tokens must be a number, got {'T': 0.5}; name a"),
        (["--column", "correct=who"], "row 0 of log.jsonl: correct must be true or false, got 'a'"),
    ],
)  # fmt: skip
def test_a_log_that_can_not_be_read_is_one_line(bank, log, tmp_path, arguments, message):
    (tmp_path / "log.txt").write_text("x")
    given = arguments if "--from" in arguments else ["--from", "log.jsonl", *arguments]
    done = bank("--out", "x.parquet", *given)
    assert done.code == 2
    assert message in done.err
    assert done.err.count("\n") == 1
    assert not Path("x.parquet").exists()


@pytest.mark.parametrize(
    ("columns", "questions", "message"),
    [
        ({"answer": ["1", "1"], "gold": ["1", "2"], "problem": [0, 0]}, None,
         "row 1 of log.parquet gives the problem 0 the gold '2', an earlier one '1'; a problem has one"),
        ({"answer": ["1", "1"], "gold": ["1", "1"], "problem": [0, 0], "sample": [3, 3]}, None,
         "row 1 of log.parquet repeats sample 3 of the problem 0 and the model log with equal controls"),
        ({"answer": ["1", "1"], "problem": [0, 1]}, None,
         "log.parquet has no column gold: name them with --column gold=NAME, or golds with --questions FILE; it has "),
        ({"answer": ["1", "1"], "problem": [0, 5]}, {"problem": [0], "gold": ["1"]},
         "q.parquet has no problem 5, which the log has"),
        ({"answer": ["1", "1"], "problem": [0, 1]}, {"id": [0], "gold": ["1"]},
         "row 0 of q.parquet has no problem; it has id, gold"),
        ({"answer": ["1", "1"], "problem": [0, 1]}, {"problem": [0], "text": ["1"]},
         "row 0 of q.parquet has no question and no gold; it has problem, text"),
        ({"answer": ["1", "1"], "gold": ["1", "several\nlines"], "problem": [0, 1]}, None,
         "row 1 of log.parquet: the gold answer has several lines"),
        ({"noise": [1, 2]}, {"problem": [0], "gold": ["1"]},
         "log.parquet has no columns problem and answer: name them with --column problem=NAME; it has noise"),
    ],
)  # fmt: skip
def test_a_log_that_makes_no_bank_is_one_line(make, tmp_path, columns, questions, message):
    file_of(tmp_path, columns, "log.parquet")
    if questions is not None:
        file_of(tmp_path, questions, "q.parquet")
    done = make("log.parquet", *([] if questions is None else ["--questions", "q.parquet"]))
    assert done.code == 2
    assert message in done.err
    assert done.err.count("\n") == 1
    assert not Path("made.parquet").exists()
