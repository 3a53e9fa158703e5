"""Banks in files: what is read, what is written, and what is refused in one line."""

import copy
import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from econ_env import load_bank, parallel_env
from econ_env.answers import DEFAULT_RULE
from econ_env.errors import BankError, ProblemGoldError
from econ_env.observations import Known
from econ_env.observations.discussion import WorkingNumbers
from econ_env.recorded import BankRow, Manifest, write_bank
from econ_env.recorded.columns import working_facts
from econ_env.recorded.load import given_bank
from econ_env.records import Working
from tests.econ_env.recorded.made_banks import bank_of, counted, file_of, refused, row, two_cells

PLAIN = {"problem": [0, 0, 1], "gold": ["4", "4", "9"], "answer": ["4", None, "8"]}


def places(bank, problem):
    """Rows of the file that have the replies to a problem, in the order in which the bank holds them."""
    return bank.row_R[bank.problem_R == bank.place_of[problem]].tolist()


def test_what_is_written_is_loaded_again(tmp_path):
    rows = [
        BankRow(
            "p1", "b", "3", "3", 0.7, 1.1, 0.9, 0.05, 1, "How many?", "I say 3.", 4, 8, -0.25, "stop", True,
        ),
        BankRow(
            "p1", "b", "3", None, 0.7, 1.1, 0.9, 0.05, 0, "How many?", "I don't know.", 5, 13, -0.5, "length", False,
        ),
        BankRow("p2", "a", "4", "5", 0.2, 1.0, 0.9, 0.05, 0, "And now?", "5", 1, 1, -0.1, "stop", False),
    ]  # fmt: skip
    about = Manifest({"a": "file a"}, "engine", "prompts-v1", "rule-v1", "controls-v1", "set", "source", "2026-11-29")
    bank = load_bank(write_bank(tmp_path / "new" / "made.parquet", rows, about))
    assert bank.manifest == about
    assert (bank.name, bank.models, len(bank)) == ("made.parquet", ("a", "b"), 3)
    assert bank.controls == ("temperature", "repetition_penalty", "top_p", "min_p")
    assert bank.cell_model_G.tolist() == [0, 1]
    assert bank.cell_controls_GA.tolist() == [[0.2, 1.0, 0.9, 0.05], [0.7, 1.1, 0.9, 0.05]]
    assert bank.row_R.tolist() == [2, 1, 0]
    assert [bank.texts[at] for at in range(3)] == ["I say 3.", "I don't know.", "5"]
    assert [bank.answers[code] if code >= 0 else None for code in bank.answer_R] == ["5", None, "3"]
    assert {name: values.tolist() for name, values in bank.numbers.items()} == {
        "tokens": [1, 5, 4], "reply_chars": [1, 13, 8], "mean_logprob": [-0.1, -0.5, -0.25],
    }  # fmt: skip
    assert [bank.ends[code] for code in bank.end_R] == ["stop", "length", "stop"]
    assert bank.correct_R.tolist() == [0, 0, 1]
    assert [(problem.id, problem.question, problem.answer) for problem in bank.problems] == [
        ("p1", "How many?", "3"),
        ("p2", "And now?", "4"),
    ]
    assert bank.has_questions
    assert not list(tmp_path.rglob("*.part"))


def test_workings_are_played_without_texts_and_read_in_texts(tmp_path):
    facts = working_facts("2 + 2 = 5, so 5", "5")
    assert facts == {
        "equations": 1, "wrong_equations": 1, "working_numbers": 4, "ends_with_answer": 1, "shows_answer": 1,
    }  # fmt: skip
    assert set(working_facts(None, "5").values()) == {None}
    bare = bank_of(tmp_path, [BankRow("p", "m", "4", "5", **facts), BankRow("p", "n", "4", "4", equations=3)])
    found = [reply.working for reply in replies_of(bare)]
    assert found == [Working(1, 1, 4, True, True), None]
    told = bank_of(tmp_path, [BankRow("p", "m", "4", "5", reply="2 + 2 = 5, so 5", **facts)], "told.parquet")
    (reply,) = replies_of(told)
    assert (reply.text, reply.working) == ("2 + 2 = 5, so 5", None)
    assert WorkingNumbers().values(Known(0, 1, "?", None, (reply,), (), 0, 1))[1] == 1.0


def replies_of(bank):
    env = parallel_env(
        llm=bank, embedder="hash", n_agents=len(bank.models), config={"sampling": {"controls": ["speak"]}}
    )
    env.reset(seed=0)
    env.step({agent: env.action_space(agent).high for agent in env.agents})
    return env.episode.last_round.replies


def test_what_nothing_is_known_of_is_no_column(tmp_path):
    bank = bank_of(tmp_path, [row(0, None), row(1, None)])
    assert bank.controls == ()
    assert bank.numbers == {}
    assert (bank.texts, bank.correct_R, bank.end_R, bank.has_questions) == (None, None, None, False)
    assert bank.answer_R.tolist() == [-1, -1]


@pytest.mark.parametrize("kind", ["ints", "floats", "texts", "pandas", "categories", "large"])
def test_columns_of_any_type_are_read_alike(tmp_path, kind):
    gold, answer, problem = ["18", "18", "7"], ["18", None, "6"], ["3", "3", "20"]
    columns = {
        "ints": {"problem": [3, 3, 20], "gold": [18, 18, 7], "answer": pa.array([18, None, 6])},
        "floats": {"problem": [3.0, 3.0, 20.0], "gold": [18.0, 18.0, 7.0], "answer": [18.0, float("nan"), 6.0]},
        "texts": {"problem": problem, "gold": gold, "answer": answer},
        "categories": {name: pa.array(values).dictionary_encode() for name, values in
                       {"problem": problem, "gold": gold, "answer": answer}.items()},
        "large": {"problem": problem, "gold": pa.array(gold, pa.large_string()),
                  "answer": pa.array(answer, pa.large_string())},
    }  # fmt: skip
    path = tmp_path / "columns.parquet"
    if kind == "pandas":
        frame = pd.DataFrame({"problem": [3, 3, 20], "gold": gold, "answer": [18, np.nan, 6]})
        frame.astype({"gold": "category"}).to_parquet(path)
    else:
        file_of(tmp_path, columns[kind])
    bank = load_bank(path)
    assert [(problem.id, problem.answer) for problem in bank.problems] == [("3", "18"), ("20", "7")]
    assert [bank.answers[code] if code >= 0 else None for code in bank.answer_R] == answer
    assert bank.judged(DEFAULT_RULE).right_R.tolist() == [True, False, False]


def test_a_control_has_two_names_and_any_precision(tmp_path):
    path = file_of(
        tmp_path, {**PLAIN, "rep_penalty": pa.array([1.1, 1.1, 1.1], pa.float32()), "temperature": [0, 0, 1]}
    )
    bank = load_bank(path)
    assert bank.controls == ("temperature", "repetition_penalty")
    assert bank.cell_controls_GA.tolist() == [[0.0, 1.1], [1.0, 1.1]]
    both = file_of(tmp_path, {**PLAIN, "rep_penalty": [1, 1, 1], "repetition_penalty": [1, 1, 1]}, "both.parquet")
    with refused("both.parquet has the columns repetition_penalty and rep_penalty"):
        load_bank(both)


def test_problems_of_an_exam_are_told_apart_and_have_it_as_their_kind(tmp_path):
    exams = ["law", "art", "law", "art"]
    path = file_of(
        tmp_path, {"exam": exams, "problem": [1, 1, 2, 1], "gold": ["A", "B", "C", "B"], "answer": ["A"] * 4}
    )
    bank = load_bank(path)
    assert {(problem.id, problem.answer, problem.kind) for problem in bank.problems} == {
        ("law/1", "A", "law"), ("art/1", "B", "art"), ("law/2", "C", "law"),
    }  # fmt: skip
    assert places(bank, "art/1") == [1, 3]


def test_without_samples_the_order_of_the_rows_counts(tmp_path):
    path = file_of(tmp_path, {"problem": [1, 0, 1, 1], "gold": ["1"] * 4, "answer": ["a", "b", "c", "d"]})
    bank = load_bank(path)
    assert places(bank, "1") == [0, 2, 3]
    assert bank.samples(0) == 1
    numbered = file_of(
        tmp_path, {"problem": [1, 0, 1, 1], "gold": ["1"] * 4, "answer": ["a", "b", "c", "d"], "sample": [7, 0, 5, 6]}
    )
    assert places(load_bank(numbered), "1") == [2, 3, 0]


def test_a_verdict_may_be_missing_or_a_text(tmp_path):
    texts = file_of(tmp_path, {**PLAIN, "correct": ["true", None, "false"]})
    assert load_bank(texts).correct_R.tolist() == [1, -1, 0]
    numbers = file_of(tmp_path, {**PLAIN, "correct": [1, 0, 1]}, "numbers.parquet")
    assert load_bank(numbers).correct_R.tolist() == [1, 0, 1]
    words = file_of(tmp_path, {**PLAIN, "correct": ["yes", "no", "perhaps"]}, "words.parquet")
    with refused("the column correct of words.parquet needs true and false"):
        load_bank(words)


def test_golds_are_bare_and_answers_are_judged_by_the_rule(tmp_path):
    path = file_of(tmp_path, {"problem": [0, 0, 0, 1], "gold": ["1/2", "1/2", "1/2", "#### 5"],
                              "answer": ["0.5", r"\frac{1}{2}", "2", "5 apples"]})  # fmt: skip
    bank = load_bank(path)
    assert bank.problems[1].answer == "5"
    judged = bank.judged(DEFAULT_RULE)
    assert judged.right_R.tolist() == [True, True, False, True]
    assert judged.label_R.tolist() == [0, 0, 1, 0]
    assert bank.judged(DEFAULT_RULE) is judged
    with pytest.raises(ProblemGoldError, match=r"0 of bad\.parquet"):
        load_bank(file_of(tmp_path, {"problem": [0], "gold": ["no number #### "], "answer": ["1"]}, "bad.parquet"))


def test_models_can_be_chosen_in_any_order(tmp_path):
    bank = bank_of(tmp_path, [*counted(2, 2, ("c", "a", "b"))])
    part = load_bank(bank, models=["c", "a", "c"])
    assert part.models == ("c", "a")
    assert [part.answers[code] for code in part.answer_R] == [str(1000 + n) for n in (0, 1, 2, 3, 4, 5, 6, 7)]
    assert part.row_R.tolist() == [0, 1, 2, 3, 4, 5, 6, 7]
    assert part.cell_model_G.tolist() == [0, 1]
    assert np.diff(part.start).tolist() == [2] * 4
    assert load_bank(bank, models=["b"]).row_R.tolist() == [8, 9, 10, 11]
    with refused("made.parquet has no model 'B'. Did you mean 'b'? It has a, b, c"):
        load_bank(bank, models=["B"])
    with refused("name at least one model of made.parquet: a, b, c"):
        load_bank(bank, models=[])


def test_a_file_is_read_again_only_if_it_changed(tmp_path):
    first = bank_of(tmp_path, counted(1, 1))
    assert load_bank(tmp_path / "made.parquet") is first
    second = bank_of(tmp_path, counted(2, 1))
    assert second is not first
    assert len(second) == 2


def test_a_bank_is_copied_as_itself_and_pickled_without_its_texts(tmp_path):
    bank = bank_of(tmp_path, [row(0, "1", reply="One. " * 5000), row(0, "1", sample=1, reply="One again.")])
    before = len(pickle.dumps(bank))
    assert bank.texts[1] == "One again."
    assert bank.place_of == {"0": 0}
    assert len(pickle.dumps(bank)) == before
    assert copy.deepcopy(bank) is bank
    again = pickle.loads(pickle.dumps(bank))
    assert again.row_R.tolist() == bank.row_R.tolist()
    assert again.texts[1] == "One again."


def test_the_bank_of_the_package_has_what_is_said_of_it():
    bank = load_bank("gsm8k-small7")
    assert (len(bank), len(bank.problems), len(bank.models)) == (9233, 1319, 7)
    assert bank.manifest.source
    assert given_bank("recorded:gsm8k-small7") is bank
    assert given_bank(bank) is bank
    assert given_bank("recorded-elsewhere.gguf") is None


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"problem": [0], "golds": ["1"], "answer": ["1"]},
         "x.parquet has no column gold; it has problem, golds, answer. Did you mean 'golds'? A file of another kind"),
        ({"problem": [0], "reply": ["1"]}, "x.parquet has no columns gold and answer; it has problem, reply."),
        ({**PLAIN, "gold": ["4", "5", "9"]}, "row 1 of x.parquet gives the problem 0 the gold '5', an earlier one '4'"),
        ({**PLAIN, "gold": ["4", None, "9"]}, "row 1 of x.parquet has no gold; every reply needs one"),
        ({**PLAIN, "problem": [0, None, 1]}, "row 1 of x.parquet has no problem; every reply needs one"),
        ({**PLAIN, "sample": [0, 0, 0]}, "row 1 of x.parquet repeats sample 0 of the problem 0 and the model x with"),
        ({**PLAIN, "temperature": [0.1, None, 0.2]}, "row 1 of x.parquet has no temperature; leave the column out"),
        ({**PLAIN, "temperature": ["cold", "hot", "1"]}, "the column temperature of x.parquet needs numbers"),
        ({**PLAIN, "gold": [["4"], ["4"], ["9"]]}, "the column gold of x.parquet has values of the type list"),
        ({**PLAIN, "question": ["a", "b", "c"]}, "row 1 of x.parquet asks another question as problem 0 than an"),
        ({**PLAIN, "question": ["a", "a", " "]}, "row 2 of x.parquet has no question; every reply needs one"),
        ({"problem": pa.array([], pa.int32()), "gold": pa.array([], pa.string()), "answer": pa.array([], pa.string())},
         "x.parquet has no reply"),
    ],
)  # fmt: skip
def test_what_is_no_bank_is_said_in_one_line(tmp_path, columns, message):
    path = file_of(tmp_path, columns, "x.parquet")
    with pytest.raises(BankError) as caught:
        load_bank(path)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_files_that_are_missing_or_no_parquet(tmp_path):
    with refused("there is no bank gsm8k-smal7. Did you mean 'gsm8k-small7'? Give a Parquet"):
        load_bank("gsm8k-smal7")
    Path(tmp_path / "text.parquet").write_text("problem,gold\n")
    with refused("text.parquet is no Parquet file that can be read"):
        load_bank(tmp_path / "text.parquet")
    cut = write_bank(tmp_path / "cut.parquet", two_cells(), Manifest())
    cut.write_bytes(cut.read_bytes()[:-200])
    with refused("cut.parquet is no Parquet file that can be read"):
        load_bank(cut)
    for llm in ("recorded:", "recorded", "recorded: "):
        with refused("names no bank: give recorded:FILE.parquet, or recorded:gsm8k-small7"):
            given_bank(llm)


def test_nothing_is_no_bank_and_a_folder_no_file(tmp_path):
    with refused("a bank needs at least one reply"):
        write_bank(tmp_path / "x.parquet", [], Manifest())
    (tmp_path / "file").write_text("")
    with refused("can't be written"):
        write_bank(tmp_path / "file" / "x.parquet", two_cells(), Manifest())


@pytest.mark.parametrize("metadata", [None, {}, {b"econ_bank": b"[1]"}, {b"econ_bank": b"{torn"}])
def test_a_manifest_that_is_not_there_is_empty(metadata):
    assert Manifest.from_metadata(metadata) == Manifest()


def test_a_manifest_of_another_version_keeps_what_is_known():
    about = b'{"engine": "e", "models": {"a": 1}, "later": [2]}'
    assert Manifest.from_metadata({b"econ_bank": about}) == Manifest(models={"a": "1"}, engine="e")
