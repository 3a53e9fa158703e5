"""Files: what their values become, and how they may be packed."""

import bz2
import gzip
import json
import lzma
import pickle

import pytest

from econ_env.errors import ProblemGoldError, ProblemSourceError
from econ_env.problems.files import format_of
from econ_env.problems.load import load_problems

TEXTS = ["2020-01-02", "2020-01-02T03:04:05Z", "1e5", "007", "0.50", "True", "false", "None", "nan", "12:30", "1_000"]


def write(path, text):
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def golds(path, **options):
    return [problem.answer for problem in load_problems(path, **options)]


def json_lines(*answers):
    return "".join(
        json.dumps({"question": f"Question {n}?", "answer": answer}) + "\n" for n, answer in enumerate(answers)
    )


@pytest.mark.parametrize("alone", [False, True])
@pytest.mark.parametrize("text", TEXTS)
def test_a_text_stays_as_it_is_written(tmp_path, text, alone):
    answers = [text] if alone else [text, "5", text]
    lines = "".join(f"Question {n}?\t{answer}\n" for n, answer in enumerate(answers))
    files = [
        write(tmp_path / "p.jsonl", json_lines(*answers)),
        write(tmp_path / "p.json", json.dumps([json.loads(line) for line in json_lines(*answers).splitlines()])),
        write(tmp_path / "p.tsv", "question\tanswer\n" + lines),
        write(tmp_path / "p.csv", "question,answer\n" + lines.replace("\t", ",")),
    ]
    for path in files:
        assert golds(path) == answers
    (tmp_path / "sets").mkdir()
    write(tmp_path / "sets" / "train.jsonl", json_lines(*answers))
    assert golds(tmp_path / "sets") == answers


LONG = "1" + "0" * 4500 + "7"


@pytest.mark.parametrize("text", [*map(str, (5, 2**53 + 1, 2**63 - 1, 2**63, 2**64 + 1, -(2**70), 10**400 + 7)), LONG])
def test_whole_numbers_are_exact_to_any_size(tmp_path, text):
    lines = "".join(f'{{"question": "q?", "answer": {answer}}}\n' for answer in (text, "1", f"{text}.0", f'"{text}"'))
    assert golds(write(tmp_path / "p.jsonl", lines)) == [text, "1", text, text]
    assert golds(write(tmp_path / "p.csv", f"question,answer\nq?,{text}\nq?,1\n")) == [text, "1"]


@pytest.mark.parametrize(
    ("written", "gold"),
    [("0.1", "0.1"), ("5.5999999999999996", "5.6"), ("2.50", "2.5"), ("1e3", "1000"), ("2.0107e-06", "0.0000020107")],
)
def test_other_numbers_of_json(tmp_path, written, gold):
    assert golds(write(tmp_path / "p.jsonl", f'{{"question": "q?", "answer": {written}}}\n')) == [gold]


@pytest.mark.parametrize("written", ["1e999999999", "1e-999999999", "NaN", "Infinity"])
def test_numbers_that_no_one_can_write_out(tmp_path, written):
    path = write(tmp_path / "p.jsonl", f'{{"question": "q?", "answer": {written}}}\n')
    with pytest.raises(ProblemGoldError, match=r"must be finite|more than 400 digits"):
        load_problems(path)


def test_values_of_mixed_types(tmp_path):
    path = write(tmp_path / "p.jsonl", json_lines(5, "1/2", 7.5, True, ["6"], 2**65, "2020-01-02"))
    assert golds(path) == ["5", "1/2", "7.5", "True", "6", str(2**65), "2020-01-02"]


# Names


@pytest.mark.parametrize(
    ("name", "suffix"),
    [
        ("p.jsonl", ".jsonl"),
        ("P.JSONL", ".jsonl"),
        ("p.ndjson", ".ndjson"),
        ("a.b/p.Json", ".json"),
        ("p.v2.csv", ".csv"),
        ("p.tsv.gz", ".tsv"),
        ("p.jsonl.ZST", ".jsonl"),
        ("p.parquet", ".parquet"),
        ("p.parquet.gz", None),
        ("p.gz", None),
        ("p.txt", None),
        ("jsonl", None),
    ],
)
def test_formats_by_name(name, suffix):
    assert format_of(name) == suffix


PACKERS = {"": bytes, ".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress, ".GZ": gzip.compress}


@pytest.mark.parametrize("packed", PACKERS)
@pytest.mark.parametrize("suffix", [".jsonl", ".JSONL", ".ndjson", ".json", ".csv", ".tsv", ".TSV"])
def test_packed_files(tmp_path, suffix, packed):
    table = "question,answer\nQuestion 0?,007\nQuestion 1?,8\n"
    text = {".csv": table, ".tsv": table.replace(",", "\t")}.get(suffix.lower(), json_lines("007", "8"))
    path = write(tmp_path / f"p{suffix}{packed}", PACKERS[packed](text.encode()))
    assert golds(path) == ["007", "8"]
    stream = load_problems(path, streaming=True)
    assert [problem.answer for problem in pickle.loads(pickle.dumps(stream))] == ["007", "8"]


def test_zstandard(tmp_path, monkeypatch):
    import pyarrow

    packed = pyarrow.Codec("zstd").compress(json_lines("007", "8").encode(), asbytes=True)
    path = write(tmp_path / "p.jsonl.zst", packed)
    assert golds(path) == ["007", "8"]

    class NoCodec:
        @staticmethod
        def is_available(name):
            return False

    monkeypatch.setattr(pyarrow, "Codec", NoCodec)
    with pytest.raises(ProblemSourceError, match=r"this build of pyarrow can't read \.zst files; unpack the file"):
        load_problems(path)


def test_a_damaged_packed_file_is_one_line(tmp_path):
    path = write(tmp_path / "p.jsonl.gz", b"no gzip")
    with pytest.raises(ProblemSourceError, match=r"p\.jsonl\.gz could not be read: ") as caught:
        load_problems(path)
    assert "\n" not in str(caught.value)


# JSON


@pytest.mark.parametrize(
    "text",
    [
        '[{"question": "a?", "answer": 1}, {"question": "b?", "answer": 2}]',
        '{"question": "a?", "answer": 1}\n{"question": "b?", "answer": 2}',
        '{"question": "a?",\n "answer": 1}\n\n{"question": "b?",\n "answer": 2}\n',
        '{"version": 1, "data": [{"question": "a?", "answer": 1}, {"question": "b?", "answer": 2}]}',
        '{"question": ["a?", "b?"], "answer": [1, 2]}',
        '{"first": {"question": "a?", "answer": 1}, "second": {"question": "b?", "answer": 2}}',
        '\ufeff[{"question": "a?", "answer": 1}, {"question": "b?", "answer": 2}]',
    ],
)
def test_shapes_of_json(tmp_path, text):
    problems = load_problems(write(tmp_path / "p.json", text))
    assert [(problem.question, problem.answer) for problem in problems] == [("a?", "1"), ("b?", "2")]


def test_one_object_is_one_row(tmp_path):
    assert golds(write(tmp_path / "p.json", '{"question": "a?", "answer": 1, "steps": [{"n": 1}]}')) == ["1"]


def test_json_lines_skip_empty_lines_and_take_a_list(tmp_path):
    assert golds(write(tmp_path / "a.jsonl", '\n{"question": "a?", "answer": 1}\n\n')) == ["1"]
    assert golds(
        write(tmp_path / "b.jsonl", '[{"question": "a?", "answer": 1},\n{"question": "b?", "answer": 2}]')
    ) == ["1", "2"]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("p.jsonl", '{"question": "a?", "answer": 1}\n{"question":\n', "could not be read: line 2 is not JSON"),
        ("p.jsonl", '{"question": "a?", "answer": 1}\n5\n', "line 2 must be an object with named values, got 5"),
        ("p.json", "5", "must hold a list of objects, not 5"),
        ("p.json", '[{"question": "a?", "answer": 1}, 7]', "element 1 must be an object with named values, got 7"),
        ("p.json", "{broken", "is not JSON"),
        ("p.json", "[]", "is empty"),
        ("p.jsonl", "\n \n", "is empty"),
        ("p.csv", "question,answer\n", "is empty"),
        ("p.csv", "question,answer\na?,1,000\n", "line 2 has 3 cells, but there are 2 columns; put quotes"),
        ("p.jsonl", b'{"question": "\xff?", "answer": 1}\n', "could not be read"),
    ],
)
def test_files_that_can_not_be_read(tmp_path, name, text, message):
    with pytest.raises(ProblemSourceError, match=message):
        load_problems(write(tmp_path / name, text))


# Tables


def test_cells_with_separators_quotes_and_lines(tmp_path):
    path = write(tmp_path / "p.csv", '\ufeffquestion,answer\r\n"A, ""B""\nor C?","1,000"\r\n\r\nD?,2\r\n')
    problems = load_problems(path)
    assert [(problem.question, problem.answer) for problem in problems] == [('A, "B"\nor C?', "1000"), ("D?", "2")]


def test_a_cell_that_is_missing_is_no_answer(tmp_path):
    path = write(tmp_path / "p.csv", "question,answer\na?,1\nb?\n")
    with pytest.raises(ProblemGoldError, match=r"row-1 of .*must be text or a number, got None"):
        load_problems(path)


def test_columns_of_equal_names_are_kept_apart(tmp_path):
    path = write(tmp_path / "p.csv", "question,answer,answer\na?,1,2\n")
    assert golds(path) == ["1"]
    assert golds(path, answer_field="answer.1") == ["2"]


def test_a_directory_keeps_its_own_description(tmp_path):
    write(tmp_path / "README.md", "---\nconfigs:\n- config_name: default\n  data_files: p.csv\n  sep: '|'\n---\n")
    write(tmp_path / "p.csv", "question|answer\na?|007\n")
    assert golds(tmp_path) == ["007"]


def test_a_directory_of_packed_files(tmp_path):
    write(tmp_path / "train.jsonl.gz", gzip.compress(json_lines("007").encode()))
    write(tmp_path / "test.jsonl.gz", gzip.compress(json_lines("8", "9").encode()))
    assert golds(tmp_path) == ["007"]
    assert [problem.id for problem in load_problems(tmp_path, split="test")] == ["test-0", "test-1"]
