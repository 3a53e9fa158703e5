import json

import pytest

from econ_env.errors import TraceError
from econ_env.traces import JsonLines, read_lines, write_json, write_json_list


def test_rows_come_back_in_order(tmp_path):
    with JsonLines(tmp_path / "a" / "rows.jsonl") as lines:
        lines.append({"n": 1, "text": "zwölf\nund\u2028mehr"})
        lines.append({"n": 2})
        assert [row["n"] for row in read_lines(tmp_path / "a" / "rows.jsonl")] == [1, 2]  # on disk before close
    assert next(read_lines(tmp_path / "a" / "rows.jsonl"))["text"] == "zwölf\nund\u2028mehr"


@pytest.mark.parametrize("torn", ['{"n": 3', '{"n": 3}', "x" * 10_000])
def test_a_torn_last_line_is_dropped_and_cut_before_going_on(tmp_path, torn):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"n": 1}\n{"n": 2}\n' + torn)
    assert [row["n"] for row in read_lines(path)] == [1, 2]
    with JsonLines(path) as lines:
        lines.append({"n": 9})
    assert [row["n"] for row in read_lines(path)] == [1, 2, 9]


def test_a_file_that_is_one_torn_line_starts_afresh(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"n": 1')
    with JsonLines(path) as lines:
        lines.append({"n": 2})
    assert [row["n"] for row in read_lines(path)] == [2]


def test_a_missing_file_has_no_rows(tmp_path):
    assert list(read_lines(tmp_path / "none.jsonl")) == []


def test_a_broken_line_in_the_middle_is_named(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"n": 1}\nnot json\n{"n": 2}\n')
    with pytest.raises(TraceError, match=r"rows\.jsonl line 2"):
        list(read_lines(path))


def test_a_number_that_json_has_not_is_refused_before_anything_is_written(tmp_path):
    with JsonLines(tmp_path / "rows.jsonl") as lines, pytest.raises(ValueError, match="JSON compliant"):
        lines.append({"n": float("nan")})
    assert (tmp_path / "rows.jsonl").read_text() == ""


def test_a_full_disk_is_one_clear_error(tmp_path):
    lines = JsonLines("/dev/full")
    with pytest.raises(TraceError, match="No space left"):
        lines.append({"n": 1})


def test_write_json_replaces_as_a_whole(tmp_path):
    path = tmp_path / "summary.json"
    write_json(path, {"a": 1})
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(path, {"a": float("inf")})
    assert json.loads(path.read_text()) == {"a": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["summary.json"]


@pytest.mark.parametrize("values", [[], [{"a": [1, {"b": "line\nbreak"}]}], [1, [], {}, "x", [{"ü": None}]]])
def test_a_list_is_written_as_if_it_were_in_memory(tmp_path, values):
    write_json(tmp_path / "whole.json", values)
    write_json_list(tmp_path / "parts.json", iter(values))
    assert (tmp_path / "parts.json").read_bytes() == (tmp_path / "whole.json").read_bytes()


def test_a_list_that_ends_in_an_error_leaves_the_old_file(tmp_path):
    path = tmp_path / "list.json"
    write_json_list(path, [1])
    with pytest.raises(ZeroDivisionError):
        write_json_list(path, (1 // n for n in (1, 0)))
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json_list(path, [1, float("nan")])
    assert json.loads(path.read_text()) == [1]
    assert [p.name for p in tmp_path.iterdir()] == ["list.json"]


def test_write_json_into_a_file_as_folder_is_one_clear_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(TraceError, match="kept"):
        write_json(tmp_path / "file" / "summary.json", {})
