"""What makes a question: its context, its choices, and the columns that have them."""

import pytest

import econ_env
from econ_env.answers import judge
from econ_env.errors import ProblemFieldError, ProblemGoldError
from econ_env.problems.choices import read_choice, read_choices
from econ_env.problems.load import FAILING_ROWS, load_problems
from econ_env.testing.dataset_checks import check_dataset, check_problems

STORY = "Tom has 5 pens and loses 2."
ASKED = {"question": "How many are left?", "answer": "3"}
LETTERED = "How many are left?\n\nA) 5\nB) 3\nC) 2"


def one(row, **fields):
    (problem,) = load_problems([row], **fields)
    return problem


def refusal(rows, error=ProblemFieldError, **fields):
    with pytest.raises(error) as caught:
        load_problems(rows, **fields)
    message = str(caught.value)
    assert "\n" not in message
    return message


# Context


@pytest.mark.parametrize("name", ["context", "Context", "passage", "story", "paragraph", "PASSAGE", "table"])
def test_a_context_comes_before_the_question(name):
    assert one({name: STORY, **ASKED}).question == f"{STORY}\n\nHow many are left?"


@pytest.mark.parametrize(
    ("body", "question"),
    [
        (STORY, f"{STORY} How many are left?"),
        ("If Tom loses 2 of 5 pens", "If Tom loses 2 of 5 pens, How many are left?"),
    ],
)
@pytest.mark.parametrize("name", ["body", "Body"])
def test_a_body_is_the_first_sentence_of_the_question(name, body, question):
    assert one({name: body, **ASKED}).question == question


@pytest.mark.parametrize("empty", [None, "", "  ", [], [""], {"a": None}])
def test_an_empty_context_changes_nothing(empty):
    assert one({"context": empty, **ASKED}).question == ASKED["question"]


def test_a_context_of_some_rows_only():
    rows = [ASKED, {**ASKED, "context": STORY}, ASKED]
    assert [len(problem.question) for problem in load_problems(rows)] == [18, len(STORY) + 20, 18]


def test_a_context_in_several_paragraphs_or_in_a_list_of_one():
    assert one({"context": ["One.", "Two."], **ASKED}).question == "One.\n\nTwo.\n\nHow many are left?"
    assert one({"context": [STORY], **ASKED}).question == f"{STORY}\n\nHow many are left?"


def test_a_context_that_the_question_has_already_is_not_repeated():
    whole = f"{STORY} How many are left?"
    assert one({"context": STORY, "question": whole, "answer": "3"}).question == whole


def test_context_field_names_another_column_or_none():
    row = {"facts": STORY, "context": "unrelated", **ASKED}
    assert one(row, context_field="facts").question == f"{STORY}\n\nHow many are left?"
    assert one(row, context_field="").question == "How many are left?"
    assert "no field 'fact'; it has: facts, context" in refusal([row], context_field="fact")


def test_the_question_itself_is_no_context():
    assert one({"passage": STORY, "answer": "3"}, question_field="passage").question == STORY


@pytest.mark.parametrize(
    ("row", "fields", "message"),
    [
        (
            {"context": STORY, "passage": "Other.", **ASKED},
            {},
            r"several columns may be before the question: context, passage; choose one with context_field='context', "
            "or none with context_field=''",
        ),
        (
            {"instruction": "Add.", "input": "2 and 3", "answer": "5"},
            {"question_field": "instruction"},
            "'input' may be a part of the question; put it before the question with context_field='input', or leave it",
        ),
        ({"context": {"text": STORY}, **ASKED}, {}, "must be text, got {'text'.*context_field=''"),
        ({"context": 5, **ASKED}, {}, "must be text, got 5"),
        (
            {"image": b"picture", **ASKED},
            {},
            "'image' may be a part of the question, which can only be text; remove such",
        ),
    ],
)
def test_a_context_that_can_not_be_told_is_refused(row, fields, message):
    with pytest.raises(ProblemFieldError, match=message):
        load_problems([row], **fields)


def test_a_picture_is_left_out_only_where_it_says_so():
    row = {"image_1": {"bytes": b"picture", "path": None}, **ASKED}
    assert one(row, context_field="").question == ASKED["question"]
    assert one({"image_1": {"bytes": None, "path": None}, **ASKED}).question == ASKED["question"]


def test_messages_name_no_more_than_thirty_columns():
    assert refusal([{f"c{n}": 1 for n in range(1000)}]).count(", ") < 35


def test_two_columns_with_the_same_context_are_one():
    assert one({"context": STORY, "passage": STORY, **ASKED}).question == f"{STORY}\n\nHow many are left?"


def test_instruction_and_input_are_joined_as_asked():
    row = {"instruction": "Add the numbers.", "input": "2 and 3", "output": "5"}
    names = {"question_field": "instruction", "answer_field": "output"}
    assert one(row, **names, context_field="input").question == "2 and 3\n\nAdd the numbers."
    assert one(row, **names, context_field="").question == "Add the numbers."
    assert one({**row, "input": ""}, **names).question == "Add the numbers."


# Choices


@pytest.mark.parametrize(
    "choices",
    [
        ["5", "3", "2"],
        ["A) 5", "B) 3", "C) 2"],
        ["(a) 5", "(b) 3", "(c) 2"],
        ["A. 5", "B. 3", "C. 2"],
        [5, 3, 2],
        {"A": "5", "B": "3", "C": "2", "D": None},
        {"C": "2", "A": "5", "B": "3"},
        {"text": ["5", "3", "2"], "label": ["A", "B", "C"]},
        {"label": ["1", "2", "3"], "text": ["5", "3", "2"]},
        [{"label": "A", "text": "5"}, {"label": "B", "text": "3"}, {"label": "C", "text": "2"}],
        "A) 5 B) 3 C) 2",
        "a ) 5 , b ) 3 , c ) 2",
        "5\n3\n2",
        '["5", "3", "2"]',
        "['5', '3', '2']",
        '{"A": "5", "B": "3", "C": "2"}',
    ],
)
@pytest.mark.parametrize("name", ["choices", "Options"])
def test_choices_are_lettered(name, choices):
    problem = one({**ASKED, "answer": "B" if "1" not in str(choices) else "2", name: choices})
    assert (problem.question, problem.answer) == (LETTERED, "(B) 3")


@pytest.mark.parametrize(
    "names", [("A", "B", "C"), ("option_a", "option_b", "option_c"), ("choice1", "choice2", "choice3")]
)
def test_one_column_a_choice(names):
    row = {**ASKED, **dict(zip(names, ("5", "3", "2"), strict=True)), "answer": names[1][-1]}
    assert (one(row).question, one(row).answer) == (LETTERED, "(B) 3")


@pytest.mark.parametrize("columns", [{"A": 3, "B": 4}, {"a": 3, "b": 4, "c": 5}, {"A": 1, "C": 2, "D": 3}])
def test_columns_with_letters_that_are_no_choices(columns):
    problem = one({**columns, **ASKED})
    assert (problem.question, problem.answer) == (ASKED["question"], "3")


@pytest.mark.parametrize(
    "gold", ["B", "b", "(B)", "B.", "B)", "3", " 3 ", "3.0", "(B) 3", "so\n#### B", "\\boxed{B}", ["B"]]
)
def test_the_gold_is_a_letter_or_a_text(gold):
    assert read_choice(gold, read_choices(["5", "3", "12"])) == "(B) 3"


@pytest.mark.parametrize(
    ("choices", "gold", "read"),
    [
        (["x", "y", "z"], 2, "(C) z"),
        (["x", "y", "z"], "2", "(C) z"),
        (["1", "2", "3", "4"], 3, "(D) 4"),  # a number is a place where the choices are texts
        ([1, 2, 3, 4], 3, "(C) 3"),
        (["10", "20"], "20", "(B) 20"),
        (["Yes", "No"], "no", "(B) No"),
        (["true", "false"], True, "(A) true"),
        (["$x^2$", "$x$"], "x", "(B) x"),
        (["4", "-5"], "B", "(B) (-5)"),
        (["4", "−5 cm"], "B", "(B) (−5 cm)"),
        (["4", "=5"], "B", "(B)"),
        (["4", "-1, 1"], "B", "(B)"),
        ({"text": ["x", "y"], "label": ["1", "2"]}, "1", "(A) x"),
    ],
)
def test_golds_of_choices(choices, gold, read):
    assert read_choice(gold, read_choices(choices)) == read


@pytest.mark.parametrize(
    ("choices", "gold", "message"),
    [
        (
            ["5", "3"],
            "7",
            r"the gold answer '7' is none of the choices \(A\) '5', \(B\) '3'; give its letter .* choices_field=''",
        ),
        (["5", "3"], "C", "'C' is none"),
        (["x", "y"], 2, "'2' is none of the choices .* \\(a number counts from 0"),
        (["x", "y"], -1, "'-1' is none"),
        (["1", "2", "3"], "2", "'2' may be B or C"),
        (["B", "A"], "A", "'A' may be A or B"),
        (["x", "x"], "x", "'x' may be A or B"),
        (["x", "y"], "AB", "'AB' is none"),
        (["x", "y"], None, "must be text or a number, got None"),
    ],
)
def test_a_gold_that_is_no_choice_or_two_is_refused(choices, gold, message):
    with pytest.raises(ProblemGoldError, match=f"row-1 of custom: .*{message}"):
        load_problems([ASKED, {"question": "Which?", "choices": choices, "answer": gold}])


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        (["5"], "there must be 2 to 10 choices"),
        ([str(n) for n in range(11)], "there must be 2 to 10 choices"),
        ("just a text", "neither letters nor lines"),
        ({"a": [1, 2]}, "can't be read as a choice"),
        (["5", None, "3"], "can't be read as a choice"),
        (["5", "", "3"], "a choice is empty"),
        (5, "5 can't be read as choices"),
    ],
)
def test_choices_that_can_not_be_read_are_refused(choices, message):
    rows = [ASKED, {**ASKED, "choices": choices}]
    with pytest.raises(ProblemFieldError, match=f"row-1 of custom: .*{message}.*choices_field=''"):
        load_problems(rows)
    assert load_problems(rows, choices_field="")[1].question == ASKED["question"]


@pytest.mark.parametrize("empty", [None, [], "", {}, {"A": None, "B": None}, {"text": [], "label": []}])
def test_a_question_without_choices_among_others_with_choices(empty):
    rows = [{**ASKED, "choices": ["5", "3"]}, {**ASKED, "choices": empty}]
    assert [problem.answer for problem in load_problems(rows)] == ["(B) 3", "3"]


def test_choices_that_the_question_lists_already_are_not_repeated():
    row = {"question": "How many?\nA. 5\nB. 3", "options": ["A. 5", "B. 3"], "answer": "B"}
    assert (one(row).question, one(row).answer) == (row["question"], "B")


def test_choices_field_names_another_column_or_none():
    row = {**ASKED, "mine": ["5", "3"], "options": ["9", "8"], "answer": "B"}
    assert one(row, choices_field="mine").answer == "(B) 3"
    assert one(row, choices_field="").answer == "B"
    assert "several columns may be the choices: options, choices" in refusal([{**row, "choices": ["1", "2"]}])


def test_an_environment_takes_the_same_arguments():
    row = {**ASKED, "facts": STORY, "context": "unrelated", "mine": ["5", "3", "2"], "answer": "B"}
    env = econ_env.parallel_env([row], context_field="facts", choices_field="mine", llm="simulated", embedder="hash")
    env.reset(seed=0)
    assert env.episode.problem.question == f"{STORY}\n\n{LETTERED}"
    assert env.episode.problem.answer == "(B) 3"


def test_check_dataset_takes_the_same_arguments():
    rows = [{**ASKED, "facts": STORY, "mine": ["5", "3", "2"], "answer": "B"}]
    check_dataset(rows, context_field="facts", choices_field="mine")


def test_context_question_and_choices_in_this_order():
    problem = one({"choices": ["5", "3", "2"], "context": STORY, **ASKED})
    assert problem.question == f"{STORY}\n\n{LETTERED}"


@pytest.mark.parametrize("text", ["3", "3 pens", "\\frac{1}{2}", "-5", "−5", "-\\frac{1}{2}", "x > 3", "None of these"])
def test_the_answer_rule_accepts_letter_and_text_of_a_choice_and_no_other_letter(text):
    problem = one({**ASKED, "choices": ["9", text, "8"], "answer": "B"})
    for reply in ("B", "(B)", "The answer is B.", f"\\boxed{{{text}}}", f"The answer is {text}."):
        assert judge(reply, problem.answer).correct, reply
    for reply in ("A", "The answer is C.", "\\boxed{9}"):
        assert not judge(reply, problem.answer).correct, reply
    assert check_problems([problem]) == 1


# Dotted names


CHAT = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "2 + 3?"},
    {"role": "assistant", "content": "#### 5"},
]
SHARED = [{"from": "human", "value": "2 + 3?"}, {"from": "gpt", "value": "It is \\boxed{5}."}]


@pytest.mark.parametrize(
    ("row", "question", "answer"),
    [
        ({"messages": CHAT}, "messages.user", "messages.assistant"),
        ({"messages": CHAT}, "messages.1.content", "messages.-1.content"),
        ({"messages": CHAT}, "messages.user.content", "messages.2.content"),
        ({"conversations": SHARED}, "conversations.human", "conversations.gpt"),
        ({"prompt": CHAT[1:2], "reward_model": {"ground_truth": "5"}}, "prompt.user", "reward_model.ground_truth"),
        ({"data": {"q": {"text": "2 + 3?"}, "a": [5]}}, "data.q.text", "data.a"),
        ({"question": ["2 + 3?"], "answers": {"text": ["5", "five"]}}, "question", "answers.text.0"),
        ({"q.text": "2 + 3?", "q": {"text": "no"}, "a": 5}, "q.text", "a"),
    ],
)
def test_dotted_names(row, question, answer):
    problem = one(row, question_field=question, answer_field=answer)
    assert (problem.question, problem.answer) == ("2 + 3?", "5")


def test_context_and_choices_beside_a_nested_question():
    row = {"data": {"question": "How many are left?", "context": STORY, "choices": ["5", "3", "2"], "answer": "B"}}
    problem = one(row, question_field="data.question", answer_field="data.answer")
    assert (problem.question, problem.answer) == (f"{STORY}\n\n{LETTERED}", "(B) 3")


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ("messages.7.content", "messages has 3 elements, counted from 0"),
        (
            "messages.human",
            "messages has 0 of 'human' \\(roles: system, user, assistant\\); give a number, as messages.0",
        ),
        ("messages.user.text", "messages.user has role, content"),
        ("messages.user.content.more", "messages.user.content is '2 \\+ 3\\?', which has no parts"),
        ("tags.first", "tags is a list; give an element's number, as tags.0"),
        ("message.user", "no field 'message.user'; it has: messages, tags"),
        ("messages", "must be text and not empty.*question_field='messages.assistant'"),
        ("meta", "must be text and not empty.*question_field='meta.id'"),
    ],
)
def test_dotted_names_that_lead_nowhere(field, message):
    with pytest.raises(ProblemFieldError, match=message):
        load_problems([{"messages": CHAT, "tags": ["a", "b"], "answer": 5, "meta": {"id": 1}}], question_field=field)


def test_a_chat_is_suggested_by_role():
    assert "question_field='messages.user'" in refusal([{"messages": CHAT}])
    assert "answer_field='messages.assistant'" in refusal([{"messages": CHAT}], question_field="messages.user")


def test_a_part_of_a_column_is_suggested():
    rows = [{"prompt": CHAT[1:2], "reward_model": {"style": "rule", "ground_truth": "5"}}]
    assert "answer_field='reward_model.ground_truth'" in refusal(rows, question_field="prompt.user")


def test_several_turns_of_a_role_are_refused():
    rows = [{"messages": [*CHAT, CHAT[1]], "answer": 5}]
    assert "messages has 2 of 'user'" in refusal(rows, question_field="messages.user")


# Columns that fail throughout


@pytest.mark.parametrize("size", [2, 30, 3 * FAILING_ROWS])
@pytest.mark.parametrize("streaming", [False, True])
def test_a_column_that_fails_throughout_is_said_to_be_so(size, streaming):
    rows = [{"question": f"{n}?", "answer": "first\nsecond", "gold": n} for n in range(size)]
    message = refusal(rows, ProblemGoldError, streaming=streaming)
    assert message.startswith(
        f"the column 'answer' of custom can't be used: all {min(size, FAILING_ROWS)} rows that were read fail; the "
        "first one: the gold answer has several lines"
    )
    assert message.endswith("name another column with answer_field=, there are: question, answer, gold")
    assert "fix the row" not in message


def test_a_question_column_that_fails_throughout():
    message = refusal([{"question": n, "answer": n} for n in range(5)])
    assert "the column 'question' of custom can't be used: all 5 rows" in message
    assert "name another column with question_field=" in message


@pytest.mark.parametrize("bad", [0, 1, 4])
def test_a_row_among_good_ones_is_at_fault_itself(bad):
    rows = [{"question": f"{n}?", "answer": "a\nb" if n == bad else n} for n in range(5)]
    assert refusal(rows, ProblemGoldError).startswith(f"row-{bad} of custom: the gold answer has several lines")
    assert refusal(rows, ProblemGoldError).endswith("fix the row or remove it")


def test_rows_that_fail_for_different_reasons():
    rows = [{"question": "1?", "answer": "a\nb"}, {"question": "", "answer": "1"}]
    assert refusal(rows, ProblemGoldError).startswith("row-0 of custom")
