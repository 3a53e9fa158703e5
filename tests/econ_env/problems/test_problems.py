import copy
import pickle
import subprocess
import sys
from dataclasses import replace
from datetime import date
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st

from econ_env import plugins
from econ_env.errors import ConfigError, ProblemError, ProblemFieldError, ProblemGoldError, ProblemSourceError
from econ_env.problems import hub_sets
from econ_env.problems.gold import read_gold
from econ_env.problems.load import SHUFFLE_BUFFER, ProblemSet, ProblemStream, load_problems
from econ_env.problems.presets import PRESETS
from econ_env.records import Judgement, Problem
from econ_env.testing.dataset_checks import check_problems

DATA = Path(__file__).parent
ROWS = [{"question": f"What is {n} + {n}?", "answer": 2 * n} for n in range(1, 41)]


def rows_table(*rows):
    return load_problems([dict(zip(("question", "answer"), row, strict=True)) for row in rows])


class Counted:
    """An endless-looking table that counts how many of its rows were read."""

    def __init__(self, size):
        self.size = size
        self.read = 0

    def __iter__(self):
        for number in range(self.size):
            self.read += 1
            yield {"question": f"What is {number}?", "answer": number}


# Golds


@pytest.mark.parametrize(
    ("value", "gold"),
    [
        ("18", "18"),
        (" 18 ", "18"),
        (18, "18"),
        (51.0, "51"),
        ("145.0", "145"),
        (0.1, "0.1"),
        (22090603.0, "22090603"),
        (1e22, "10000000000000000000000"),
        ("2,125", "2125"),
        ("1,234,567.50", "1234567.50"),
        ("12,34", "12,34"),
        ("0.50", "0.50"),
        ("-7", "-7"),
        ("+7", "7"),
        (-0.0, "0"),
        (Decimal("0.50"), "0.5"),
        (2**70 + 1, str(2**70 + 1)),
        (Decimal("12345678901234567890.0"), "12345678901234567890"),
        (True, "True"),
        (False, "False"),
        ("True", "True"),
        ([18], "18"),
        ([["1,000"]], "1000"),
        ("2020-01-02", "2020-01-02"),
        ("1e5", "1e5"),
        ("007", "007"),
        ("first 3\n#### 4,000", "4000"),
        ("#### 3 #### 4", "4"),
        ("so \\boxed{\\frac{1}{2}}.", "\\frac{1}{2}"),
        ("first \\boxed{1}, then \\boxed{2.0}", "2"),
        ("long\n#### \\boxed{9}", "9"),
        ("\\frac{3}{4}", "\\frac{3}{4}"),
        ("(C)", "(C)"),
        ("12%", "12%"),
        ("$18", "$18"),
        ("\\begin{pmatrix} 1 \\\\\n2 \\end{pmatrix}", "\\begin{pmatrix} 1 \\\\\n2 \\end{pmatrix}"),
    ],
)
def test_gold_is_read(value, gold):
    assert read_gold(value) == gold


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        "  ",
        "no mark\nin two lines",
        "#### ",
        "\\boxed{}",
        "\\boxed{1",
        [],
        [1, 2],
        {"a": 1},
        float("nan"),
        float("inf"),
        date(2020, 1, 2),
        Decimal("1e1000"),
        Decimal("1e-1000"),
    ],
)
def test_unreadable_gold_is_refused_and_its_row_is_named(value):
    with pytest.raises(ProblemGoldError, match=r"row-1 of custom: .*'answer'"):
        load_problems([{"question": "Fine?", "answer": "1"}, {"question": "Broken?", "answer": value}])


@given(st.integers(min_value=-(10**15), max_value=10**15))
def test_every_way_to_write_a_whole_number_gives_the_same_gold(number):
    forms = [number, str(number), f"{number:,}", f"{number}.00", f"work\n#### {number:,}", f"\\boxed{{{number}}}"]
    assert {read_gold(form) for form in forms} == {str(number)}


@given(st.floats(allow_nan=False, allow_infinity=False, width=32))
def test_a_float_keeps_its_value(number):
    assert float(read_gold(number)) == number


# Columns


def test_gsm8k_shape():
    problems = load_problems(DATA / "solutions.jsonl")
    assert [problem.answer for problem in problems] == ["3", "2500", "-7"]
    assert problems[0].question == "A shelf holds 12 mugs and 9 of them are blue. How many are not blue?"
    assert [problem.id for problem in problems] == ["row-0", "row-1", "row-2"]
    assert problems[0].source == str(DATA / "solutions.jsonl")
    assert problems[0].kind == ""


def test_svamp_shape():
    problems = load_problems(DATA / "body_and_question.json")
    assert [problem.question for problem in problems] == [
        "Nils had 14 nails. If he used 6 of them, How many nails were left?",
        "Each of 5 trays holds 12 rolls. How many rolls are there?",
    ]
    assert [problem.answer for problem in problems] == ["8", "60"]
    assert [problem.kind for problem in problems] == ["Subtraction", "Multiplication"]


def test_named_fields_and_kind_of_subject_and_level():
    problems = load_problems(DATA / "levels.csv", question_field="problem", answer_field="solution")
    assert [problem.answer for problem in problems] == ["\\frac{3}{4}", "56", "(A)"]
    assert [problem.kind for problem in problems] == ["Prealgebra/2", "Prealgebra/1", "Logic/1"]


def test_a_named_question_keeps_its_body_unless_there_shall_be_none():
    names = {"question_field": "Question", "answer_field": "ID"}
    problem = load_problems(DATA / "body_and_question.json", **names)[0]
    assert problem.question == "Nils had 14 nails. If he used 6 of them, How many nails were left?"
    problem = load_problems(DATA / "body_and_question.json", **names, context_field="")[0]
    assert (problem.question, problem.answer) == ("How many nails were left?", "a-1")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, r"no field 'question'; it has: problem, solution, subject, level\. Say .* question_field='problem'"),
        ({"question_field": "problm"}, r"no field 'problm'.*Did you mean 'problem'\?"),
        ({"question_field": "problem"}, r"no field 'answer'.*answer_field='solution'"),
        ({"question_field": "Problem", "answer_field": "solution"}, r"Did you mean 'problem'\?"),
    ],
)
def test_missing_field_lists_the_others(options, message):
    with pytest.raises(ProblemFieldError, match=message):
        load_problems(DATA / "levels.csv", **options)


@pytest.mark.parametrize("question", ["", "  ", None, 5])
def test_empty_question_is_refused_and_its_row_is_named(question):
    with pytest.raises(ProblemFieldError, match="row-1 of custom: the question"):
        rows_table(("Fine?", 1), (question, 2))


def test_field_that_only_a_later_row_lacks():
    with pytest.raises(ProblemFieldError, match="row-1 of custom has no field 'answer'"):
        load_problems([{"question": "a", "answer": 1}, {"question": "b"}])


# Choosing


def test_shuffling_keeps_ids_with_their_problems():
    plain, shuffled = load_problems(ROWS), load_problems(ROWS, seed=3)
    assert list(shuffled) != list(plain)
    assert set(shuffled) == set(plain)
    assert list(shuffled) == list(load_problems(ROWS, seed=3))
    assert list(shuffled) != list(load_problems(ROWS, seed=4))


@pytest.mark.parametrize("seed", [None, 5])
def test_limit_takes_the_first_problems(seed):
    assert load_problems(ROWS, seed=seed, limit=7) == load_problems(ROWS, seed=seed)[:7]


def test_rows_beyond_the_limit_are_not_read():
    table = Counted(10_000)
    assert len(load_problems(table, limit=5)) == 5
    assert table.read <= 6


def test_length_limits_leave_out_and_keep_ids():
    problems = load_problems(
        [
            {"question": "Long question?", "answer": 1},
            {"question": "Short?", "answer": 22},
            {"question": "S?", "answer": 3},
        ],
        max_question_length=6,
        max_answer_length=1,
    )
    assert [problem.id for problem in problems] == ["row-2"]


def test_length_limits_count_characters_inclusively():
    assert len(rows_table(("12345", "123"))) == 1
    assert len(load_problems([{"question": "12345", "answer": "123"}], max_question_length=5, max_answer_length=3)) == 1


@pytest.mark.parametrize("streaming", [False, True])
def test_length_limits_that_leave_nothing(streaming):
    with pytest.raises(ProblemSourceError, match="short enough: max_question_length=2"):
        load_problems(ROWS, max_question_length=2, streaming=streaming)


@pytest.mark.parametrize("option", ["limit", "max_question_length", "max_answer_length"])
def test_limits_below_one_are_refused(option):
    with pytest.raises(ConfigError, match=f"{option} must be at least 1, got 0"):
        load_problems(ROWS, **{option: 0})


# Sources in memory


def test_list_of_problems_is_kept_as_it_is():
    mine = [Problem("a", "1", "x", "mine", "k"), Problem("b", "2", "y")]
    assert list(load_problems(mine)) == mine
    assert list(load_problems(load_problems(mine))) == mine


def test_equal_ids_are_refused():
    with pytest.raises(ProblemError, match="2 problems of custom have the id 'x'"):
        load_problems([Problem("a", "1", "x"), Problem("b", "2", "x")])


def test_dataset_and_dataset_dict():
    import datasets

    data = datasets.Dataset.from_list(ROWS)
    assert load_problems(data) == load_problems(ROWS)
    both = datasets.DatasetDict(train=data.select(range(30)), test=data.select(range(30, 40)))
    assert [problem.id for problem in load_problems(both, split="test", limit=2)] == ["test-0", "test-1"]
    assert len(load_problems(both)) == 30
    with pytest.raises(ProblemSourceError, match=r"no split 'tset'; it has: train, test\. Did you mean 'test'"):
        load_problems(both, split="tset")


@pytest.mark.parametrize("source", [[], {"train": []}])
@pytest.mark.parametrize("streaming", [False, True])
def test_empty_split(source, streaming):
    with pytest.raises(ProblemSourceError, match="custom is empty"):
        load_problems(source, streaming=streaming)


def test_rows_that_are_no_rows():
    with pytest.raises(ProblemSourceError, match="row 0 of custom is 'What is 1"):
        load_problems(["What is 1 + 1?"])
    with pytest.raises(ProblemSourceError, match="can't be loaded from int"):
        load_problems(5)


def test_several_splits_without_train_must_be_chosen_from():
    with pytest.raises(ProblemSourceError, match="several splits; say which one with split=: a, b"):
        load_problems({"a": ROWS, "b": ROWS})


# Files


def test_all_formats_give_the_same_problems(tmp_path):
    import datasets

    data = datasets.Dataset.from_list(ROWS)
    data.to_json(tmp_path / "p.jsonl")
    data.to_json(tmp_path / "p.json", lines=False)
    data.to_csv(tmp_path / "p.csv")
    data.to_parquet(tmp_path / "p.parquet")
    for suffix in ("jsonl", "json", "csv", "parquet"):
        path = tmp_path / f"p.{suffix}"
        expected = [replace(problem, source=str(path)) for problem in load_problems(ROWS)]
        assert list(load_problems(path)) == expected
        assert list(load_problems(str(path), streaming=True)) == expected


def test_csv_cells_that_spell_nothing_are_answers(tmp_path):
    path = tmp_path / "p.csv"
    path.write_text("question,answer\nWhich word?,None\nWhich other?,nan\n")
    assert [problem.answer for problem in load_problems(path)] == ["None", "nan"]


def test_json_answers_of_mixed_types(tmp_path):
    path = tmp_path / "p.jsonl"
    path.write_text(
        '{"question": "a", "answer": 5}\n{"question": "b", "answer": "1/2"}\n{"question": "c", "answer": 7.5}\n'
    )
    assert [problem.answer for problem in load_problems(path)] == ["5", "1/2", "7.5"]


def test_directory_of_splits(tmp_path):
    for split, size in (("train", 3), ("test", 2)):
        lines = [f'{{"question": "{split} {number}?", "answer": {number}}}\n' for number in range(size)]
        (tmp_path / f"{split}.jsonl").write_text("".join(lines))
    assert len(load_problems(tmp_path)) == 3
    assert [problem.id for problem in load_problems(tmp_path, split="test")] == ["test-0", "test-1"]
    with pytest.raises(ProblemSourceError, match="has no split 'dev'; it has: t"):
        load_problems(tmp_path, split="dev")


def test_file_errors(tmp_path):
    (tmp_path / "p.txt").write_text("1")
    (tmp_path / "empty.jsonl").write_text("")
    (tmp_path / "broken.jsonl").write_text('{"question": "a", "answer": 1}\n{"question":\n')
    for name, message in {
        "none.jsonl": "there is no file .*none.jsonl",
        "deep/none": "there is no file .*deep/none",
        "p.txt": r"p.txt is no .jsonl, .ndjson, .json, .csv, .tsv, .parquet file \(all but .parquet also with .gz",
        "empty.jsonl": "empty.jsonl is empty",
        "broken.jsonl": "broken.jsonl could not be read: ",
    }.items():
        with pytest.raises(ProblemSourceError, match=message):
            load_problems(str(tmp_path / name))
    with pytest.raises(ProblemSourceError, match="has no split 'test': it is a single table"):
        load_problems(DATA / "solutions.jsonl", split="test")
    assert len(load_problems(DATA / "solutions.jsonl", split="train")) == 3


def test_loading_a_file_prints_nothing_and_leaves_nothing_behind(tmp_path, monkeypatch, capfd):
    import datasets

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    bars, verbosity = datasets.is_progress_bar_enabled(), datasets.logging.get_verbosity()
    load_problems(DATA / "solutions.jsonl")
    (tmp_path / "broken.jsonl").write_text("{")
    with pytest.raises(ProblemSourceError):
        load_problems("broken.jsonl")
    assert [path.name for path in tmp_path.iterdir()] == ["broken.jsonl"]
    assert capfd.readouterr() == ("", "")
    assert (datasets.is_progress_bar_enabled(), datasets.logging.get_verbosity()) == (bars, verbosity)


# Streams


def test_stream_reads_the_same_problems_in_the_same_order_each_time():
    stream = load_problems(ROWS, streaming=True, limit=9)
    assert isinstance(stream, ProblemStream)
    assert list(stream) == list(stream) == list(load_problems(ROWS, limit=9))


def test_shuffled_stream_is_a_permutation_by_seed():
    table = Counted(3 * SHUFFLE_BUFFER)
    one = load_problems(table, streaming=True, seed=1)
    assert list(one) == list(one)
    assert list(one) != list(load_problems(table, streaming=True, seed=2))
    assert list(one) != list(load_problems(table))
    assert set(one) == set(load_problems(table))


def test_shuffled_stream_holds_no_more_than_its_buffer():
    table = Counted(10 * SHUFFLE_BUFFER)
    stream = load_problems(table, streaming=True, seed=1)
    table.read = 0
    next(iter(stream))
    assert table.read <= SHUFFLE_BUFFER + 2


def test_stream_shows_wrong_fields_at_once():
    with pytest.raises(ProblemFieldError):
        load_problems(DATA / "levels.csv", streaming=True)


def test_stream_names_the_source_of_a_late_error():
    def rows():
        yield {"question": "a", "answer": 1}
        raise OSError("disk gone")

    class Late:
        def __iter__(self):
            return rows()

    stream = load_problems(Late(), streaming=True)
    with pytest.raises(ProblemSourceError, match="custom could not be read: disk gone"):
        list(stream)


def test_stream_needs_more_than_an_iterator():
    with pytest.raises(ProblemSourceError, match="only once"):
        load_problems(iter(ROWS), streaming=True)
    assert len(load_problems(iter(ROWS))) == len(ROWS)


# Travelling


@pytest.mark.parametrize("source", ["bundled", str(DATA / "solutions.jsonl"), ROWS])
@pytest.mark.parametrize("streaming", [False, True])
def test_sets_and_streams_survive_pickling_and_copying(source, streaming):
    problems = load_problems(source, seed=1, streaming=streaming)
    assert list(pickle.loads(pickle.dumps(problems))) == list(problems)
    assert list(copy.deepcopy(problems)) == list(problems)


def test_slices_are_sets():
    problems = load_problems(ROWS)
    part = problems[5:10]
    assert isinstance(part, ProblemSet)
    assert (len(part), part[0], part[-1]) == (5, problems[5], problems[9])


def test_neither_importing_nor_the_bundled_set_loads_heavy_libraries():
    code = (
        "import sys, econ_env.problems.load as p; p.load_problems('bundled'); "
        "print([m for m in ('datasets', 'torch', 'pandas', 'huggingface_hub') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# Names and the hub


def test_unknown_name_suggests_a_known_one():
    with pytest.raises(ProblemSourceError, match=r"called 'gsm8kk'\. Did you mean 'gsm8k'\? Known: bundled, gsm8k"):
        load_problems("gsm8kk")
    with pytest.raises(ProblemSourceError, match=r"called 'zebra'\. Known"):
        load_problems("zebra")


def test_bundled_levels_and_splits():
    every = load_problems("bundled", split="test")
    for source in ("bundled:level2", "bundled:2"):
        assert list(load_problems(source, split="test")) == [p for p in every if p.kind == "level2"]
    assert {problem.kind for problem in load_problems("bundled:1,3")} == {"level1", "level3"}
    with pytest.raises(ProblemSourceError, match="has no level4; it has: level1, level2, level3"):
        load_problems("bundled:4")
    with pytest.raises(ProblemSourceError, match="no split 'dev'; it has: train, test"):
        load_problems("bundled", split="dev")


def test_math_has_only_a_test_split_and_says_what_to_train_on():
    with pytest.raises(ProblemSourceError, match=r"no split 'train'; it has: test\. MATH-500 is for testing only"):
        load_problems("math", split="train")


@pytest.fixture
def no_hub(tmp_path, monkeypatch):
    """A hub address where nothing answers, and an empty cache; returns the cache's folder."""
    import datasets

    monkeypatch.setattr(datasets.config, "HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path)
    return tmp_path


@pytest.mark.parametrize("source", ["gsm8k", "someone/some-set", "someone/some-set:config"])
@pytest.mark.parametrize("streaming", [False, True])
def test_unreachable_hub_is_one_clear_line(no_hub, capfd, source, streaming):
    with pytest.raises(ProblemSourceError) as caught:
        load_problems(source, split="train", streaming=streaming)
    message = str(caught.value)
    assert "the hub can't be reached" in message
    assert "give a path to a local" in message
    assert "\n" not in message
    assert capfd.readouterr() == ("", "")


def put_in_cache(folder, hub_id, config, revision, splits):
    """Lay out rows as `datasets` keeps a set that it once downloaded."""
    import datasets
    from datasets.arrow_writer import ArrowWriter
    from datasets.naming import camelcase_to_snakecase

    owner, name = hub_id.split("/")
    place = folder / f"{owner}___{camelcase_to_snakecase(name)}" / config / "0.0.0" / revision
    place.mkdir(parents=True)
    infos = datasets.SplitDict()
    for split, rows in splits.items():
        features = datasets.Dataset.from_list(rows).features
        with ArrowWriter(
            path=str(place / f"{camelcase_to_snakecase(name)}-{split}.arrow"), features=features
        ) as writer:
            for row in rows:
                writer.write(row)
            writer.finalize()
        infos.add(datasets.SplitInfo(split, num_examples=len(rows)))
    info = datasets.DatasetInfo(features=features, builder_name="parquet", dataset_name=camelcase_to_snakecase(name))
    info.config_name, info.version, info.splits = config, datasets.Version("0.0.0"), infos
    info.write_to_directory(str(place))


CACHED = {  # rows in the form that the pages of the hub describe (`Preset.url`)
    "gsm8k": (
        "main",
        {"train": [{"question": "q?", "answer": "so\n#### 1,000"}], "test": [{"question": "t?", "answer": "#### 2"}]},
    ),
    "svamp": ("default", {"train": [{"Body": "b.", "Question": "q?", "Answer": "145.0", "Type": "Addition"}]}),
    "math": (
        "default",
        {"test": [{"problem": "q?", "solution": "s", "answer": "\\pi", "subject": "Algebra", "level": 3}]},
    ),
    "gsm-plus": (
        "default",
        {
            "test": [{"question": "q?", "solution": "s\n#### 2.5", "answer": "2.5", "seed_answer": "18"}],
            "testmini": [{"question": "m?", "solution": "none", "answer": "None", "seed_answer": "18"}],
        },
    ),
    "gsm-hard": ("default", {"train": [{"input": "q?", "code": "def solution()", "target": -9867630.0}]}),
    "gsm-symbolic": (
        "main",
        {"test": [{"id": 0, "instance": 0, "question": "q?", "answer": "so\n#### 12", "original_answer": "#### 9"}]},
    ),
    "gsm-symbolic:p2": ("p2", {"test": [{"id": 0, "instance": 0, "question": "q2?", "answer": "so\n#### 13"}]}),
    "asdiv": (
        "default",
        {
            "validation": [
                {
                    "body": "b.",
                    "question": "q?",
                    "solution_type": "Addition",
                    "answer": "9 (apples)",
                    "formula": "7+2=9",
                }
            ]
        },
    ),
    "mawps": (
        "default",
        {"test": [{"id": "mawps__1", "question": "q?", "chain": "<gadget>", "result": "46", "result_float": 46.0}]},
    ),
    "multiarith": ("default", {"test": [{"question": " q? ", "final_ans": "39"}]}),
    "hendrycks-math": (
        "default",
        {"train": [{"problem": "q?", "level": "Level 5", "type": "Algebra", "solution": "so $\\boxed{\\frac12}$."}]},
    ),
    "aime": ("default", {"train": [{"id": 0, "problem": "q?", "solution": "s", "answer": "033", "url": "u"}]}),
    "aime-2024": ("default", {"train": [{"id": 60, "problem": "q?", "answer": "204", "url": "u", "year": "2024"}]}),
    "aime-2025": ("default", {"test": [{"problem": "q?", "answer": "70", "id": "0"}]}),
    "amc": ("default", {"train": [{"id": 0, "problem": "q?", "answer": 142.0, "url": "u"}]}),
    "olympiadbench": (
        "OE_TO_maths_en_COMP",
        {
            "train": [
                {
                    "id": number,
                    "question": "q?",
                    "solution": ["s"],
                    "final_answer": ["$\\frac{1}{2}$"],
                    "context": context,
                    "is_multiple_answer": False,
                    "unit": None,
                    "answer_type": answer_type,
                    "subfield": "Algebra",
                }
                for number, (context, answer_type) in enumerate([("c.", "Expression"), ("c.", "Numerical")])
            ]
        },
    ),
    "mgsm:de": (
        "de",
        {"test": [{"question": "q?", "answer": None, "answer_number": 70000, "equation_solution": None}]},
    ),
}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("gsm8k", Problem("q?", "1000", "train-0", "gsm8k")),
        ("svamp", Problem("b. q?", "145", "train-0", "svamp", "Addition")),
        ("math", Problem("q?", "\\pi", "test-0", "math", "Algebra/3")),
        ("gsm-plus", Problem("q?", "2.5", "test-0", "gsm-plus")),
        ("gsm-hard", Problem("q?", "-9867630", "train-0", "gsm-hard")),
        ("gsm-symbolic", Problem("q?", "12", "test-0", "gsm-symbolic")),
        ("gsm-symbolic:p2", Problem("q2?", "13", "test-0", "gsm-symbolic:p2")),
        ("asdiv", Problem("b. q?", "9", "validation-0", "asdiv")),
        ("mawps", Problem("q?", "46", "test-0", "mawps")),
        ("multiarith", Problem("q?", "39", "test-0", "multiarith")),
        ("hendrycks-math", Problem("q?", "\\frac12", "train-0", "hendrycks-math", "Algebra/Level 5")),
        ("aime", Problem("q?", "033", "train-0", "aime")),
        ("aime-2024", Problem("q?", "204", "train-0", "aime-2024")),
        ("aime-2025", Problem("q?", "70", "test-0", "aime-2025")),
        ("amc", Problem("q?", "142", "train-0", "amc")),
        ("olympiadbench", Problem("c.\n\nq?", "$\\frac{1}{2}$", "train-1", "olympiadbench")),
        ("mgsm:de", Problem("q?", "70000", "test-0", "mgsm:de")),
    ],
)
def test_named_sets_know_their_fields_and_come_from_the_cache_without_a_hub(no_hub, capfd, name, expected):
    known = PRESETS[name.partition(":")[0]]
    config, splits = CACHED[name]
    put_in_cache(no_hub, known.hub_id, config, known.revision or "0" * 40, splits)
    split = expected.id.partition("-")[0]
    assert list(load_problems(name, split=split)) == [expected]
    assert list(load_problems(name, split=split, streaming=True)) == [expected]
    assert check_problems([expected]) == 1
    assert capfd.readouterr() == ("", "")


def test_cached_copy_of_another_revision_is_refused_unless_asked_for(no_hub):
    put_in_cache(no_hub, "openai/gsm8k", "main", "0" * 40, CACHED["gsm8k"][1])
    with pytest.raises(ProblemSourceError, match=f"cached copy is of revision {'0' * 40}.*say revision='0000"):
        load_problems("gsm8k")
    assert load_problems("gsm8k", split="test", revision="0" * 40)[0].answer == "2"


@pytest.fixture
def hub_without_sets(monkeypatch):
    """A hub that answers, and knows no data set."""
    import datasets

    class NotFound(BaseHTTPRequestHandler):
        def do_HEAD(self):
            self.send_response(404)
            self.send_header("X-Error-Code", "RepoNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_HEAD

        def log_message(self, format, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), NotFound) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setattr(datasets.config, "HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        yield
        server.shutdown()


def test_hub_that_does_not_have_the_set(hub_without_sets):
    with pytest.raises(
        ProblemSourceError, match=r"the hub has no data set 'someone/some-set' \(revision v2\) that you may"
    ):
        load_problems("someone/some-set", revision="v2")


def test_configurations_of_a_set(tmp_path, monkeypatch):
    import datasets

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(hub_sets, "answers", lambda endpoint, seconds: True)
    place = tmp_path / "sets" / "two"  # `datasets` reads a relative folder of that name as it reads the hub
    place.mkdir(parents=True)
    (place / "README.md").write_text(
        "---\nconfigs:\n"
        "- config_name: easy\n  data_files: easy.jsonl\n"
        "- config_name: hard\n  data_files: hard.jsonl\n---\n"
    )
    for config, answer in (("easy", 1), ("hard", 2)):
        (place / f"{config}.jsonl").write_text(f'{{"question": "{config}?", "answer": {answer}}}\n')
    assert list(load_problems("sets/two:hard")) == [Problem("hard?", "2", "train-0", "sets/two:hard")]
    with pytest.raises(ProblemSourceError, match=r"name a configuration as sets/two:NAME"):
        hub_sets.open_hub("sets/two", None, None, False)


ROWS_OF_AUTHORS = {  # the form in which the authors publish a set, where it is another one than on the hub
    "svamp": ("p.json", '[{"ID": "c-1", "Body": "b", "Question": "q?", "Answer": 51.0, "Type": "Subtraction"}]'),
    "asdiv": ("p.jsonl", '{"input": "b, q?", "target": 51}'),
    "mawps": ("p.jsonl", '{"input": "b, q?", "target": 51.0}'),
    "gsm-hard": ("gsmhardv2.jsonl", '{"input": "b, q?", "code": "def solution()", "target": 51.0}'),
    "multiarith": ("p.json", '[{"iIndex": 0, "lEquations": ["X=1"], "lSolutions": [51.0], "sQuestion": " b, q? "}]'),
    "aime": ("p.csv", 'ID,Year,Question,Answer\n1983-1,1983,"b, q?",51\n'),
    "amc": ("p.jsonl", '{"id": 0, "problem": "b, q?", "answer": 51.0, "question": "b, q?"}'),
    "mgsm": ("mgsm_en.tsv", "b, q?\t51\n"),
    "math-500": ("test.jsonl", '{"problem": "b, q?", "solution": "s", "answer": "51"}'),
    "gsm8k": ("test.jsonl", '{"question": "b, q?", "answer": "so\\n#### 51"}'),
}


@pytest.mark.parametrize("name", ROWS_OF_AUTHORS)
def test_named_sets_from_a_path(tmp_path, name):
    file, text = ROWS_OF_AUTHORS[name]
    (tmp_path / file).write_text(text)
    source = f"{name}:{tmp_path / file}"
    (problem,) = load_problems(source)
    assert (problem.question, problem.answer, problem.id, problem.source) == ("b, q?", "51", "row-0", source)
    assert list(load_problems(source, streaming=True)) == [problem]


def test_named_sets_from_a_path_take_named_fields_and_splits(tmp_path):
    for split, gold in (("train", 1), ("test", 2)):
        (tmp_path / f"{split}.jsonl").write_text(f'{{"input": "q?", "target": {gold}, "other": 7}}\n')
    assert load_problems(f"gsm-hard:{tmp_path}", split="test")[0].answer == "2"
    assert load_problems(f"gsm-hard:{tmp_path}", answer_field="other")[0].answer == "7"


@pytest.mark.parametrize("streaming", [False, True])
def test_a_named_set_without_any_of_its_rows(tmp_path, streaming):
    row = '{"question": "q?", "final_answer": ["5"], "answer_type": "Expression", "is_multiple_answer": false}'
    (tmp_path / "p.jsonl").write_text(row)
    with pytest.raises(
        ProblemSourceError, match="has no row with answer_type 'Numerical' and is_multiple_answer False"
    ):
        load_problems(f"olympiadbench:{tmp_path / 'p.jsonl'}", streaming=streaming)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("mgsm", "say which part of mgsm, as mgsm:bn: bn, de, en, es, fr, ja, ru, sw, te, th, zh"),
        ("mgsm:xx", "mgsm has the configurations bn, .*, and there is no file xx"),
        ("svamp:hard", "svamp has no configurations, and there is no file hard"),
        ("gsm-hard:no/such.jsonl", "there is no file no/such.jsonl"),
        (
            "gsm-plus",
            r"can't be reached for 'qintongli/GSM-Plus'.* a copy of https://.*GSM-Plus is read with gsm-plus:PATH",
        ),
    ],
)
def test_parts_and_copies_that_are_not_there(no_hub, source, message):
    with pytest.raises(ProblemSourceError, match=message):
        load_problems(source, split=None if source != "gsm-plus" else "test")


def test_the_named_sets_are_the_built_in_names():
    assert plugins.DATASETS.built_in == ("bundled", *PRESETS)


def test_named_sets_are_pinned_to_commits_or_to_none():
    pinned = {name for name, known in PRESETS.items() if known.revision is not None}
    assert {"gsm8k", "svamp", "math", "gsm-symbolic"} <= pinned
    for name in pinned:
        assert len(PRESETS[name].revision) == 40
        assert int(PRESETS[name].revision, 16)


# Checking golds


def stand_in_judge(reply, gold):
    return Judgement("correct" if gold in reply else "wrong", gold, "stand-in")


def test_check_problems_asks_for_three_forms():
    asked = []

    def judge(reply, gold):
        asked.append(reply)
        return stand_in_judge(reply, gold)

    assert check_problems(load_problems(ROWS[:2]), judge) == 2
    assert asked == [
        "2",
        "\\boxed{2}",
        '{"reasoning": "Worked out step by step.", "answer": "2"}',
        "4",
        "\\boxed{4}",
        '{"reasoning": "Worked out step by step.", "answer": "4"}',
    ]


def test_check_problems_names_what_is_refused():
    def judge(reply, gold):
        return stand_in_judge("" if "boxed" in reply else reply, gold)

    with pytest.raises(ProblemGoldError, match=r"2 forms of 2 gold answers: row-0 \(boxed: 2\), row-1 \(boxed: 4\)$"):
        check_problems(load_problems(ROWS[:2]), judge)


def test_the_standard_judge_accepts_the_example_files():
    assert check_problems(load_problems(DATA / "solutions.jsonl")) == 3
    assert check_problems(load_problems(DATA / "body_and_question.json")) == 2
