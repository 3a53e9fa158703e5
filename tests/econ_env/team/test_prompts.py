import pytest

from econ_env.answers import judge
from econ_env.team.prompts import DEFAULT_PROMPTS
from econ_env.team.redact import redact_answer

QUESTION = "Ann has 3 apples and buys four more. How many apples does she have?"


@pytest.mark.parametrize(
    ("plan", "expected"),
    [
        ("Add 3 and four.", "Add 3 and four."),
        ("Add 3 and 4 to get 7.", ""),
        ("Add 3 and 4. That gives 7. Check it.", "Add 3 and 4. Check it."),
        ("Add them. The answer is 7.", "Add them."),
        ("Add them; that makes seven.", "Add them"),
        ("1. Count.\n2. Add the 3 and the 4.", "1. Count.\n2. Add the 3 and the 4."),
        ("Step 5: add.", "Step 5: add."),
        ("1. Add 3 and four = 7.\n2. Check.", "2. Check."),
        ("Take one and add.", "Take one and add."),
        ("Compute #### 7", "Compute"),
        ("Sum up. Therefore she has 7 apples", "Sum up."),
    ],
)
def test_results_are_taken_out_of_a_plan_and_the_rest_stays(plan, expected):
    text, redacted = redact_answer(plan, QUESTION, "7")
    assert text == expected
    assert redacted == (text != plan)


def test_a_formula_that_is_the_gold_is_taken_out():
    text, redacted = redact_answer(
        "Look at it. Factor it into (x+2)(x-2) at once.", "Factor x squared minus 4.", "(x+2)(x-2)"
    )
    assert (text, redacted) == ("Look at it.", True)


def test_the_gold_stays_when_the_question_shows_it_anyway():
    text, redacted = redact_answer("Compare Ann with Bob.", "Who is taller, Ann or Bob?", "Ann")
    assert text == "Compare Ann with Bob."
    assert not redacted


def test_messages_hold_what_they_should_and_share_their_examples():
    plain = DEFAULT_PROMPTS.executor(QUESTION, None, None, "text")
    full = DEFAULT_PROMPTS.executor(QUESTION, "Add.", "8", "text")
    assert full[:-1] == plain[:-1]
    assert plain[-1].content in full[-1].content
    assert "Add." in full[-1].content
    assert "last answer: 8" in full[-1].content
    committed = DEFAULT_PROMPTS.commitment(QUESTION, ["It is 7.", "It is 8."], "json")
    assert "Solution 1: It is 7." in committed[1].content
    assert "Solution 2: It is 8." in committed[1].content
    assert '"answer"' in committed[0].content
    assert "50 tokens" in DEFAULT_PROMPTS.strategy(QUESTION, 50)[0].content


def test_text_is_shown_by_examples_that_judge_right_and_json_is_not():
    asked = DEFAULT_PROMPTS.executor(QUESTION, None, None, "text")
    assert [message.role for message in asked] == ["system", "user", "assistant", "user", "assistant", "user"]
    assert [judge(asked[2].content, "8").correct, judge(asked[4].content, "6").correct] == [True, True]
    condensed = DEFAULT_PROMPTS.commitment(QUESTION, ["It is 7."], "text")
    assert [judge(condensed[2].content, "8").correct, judge(condensed[4].content, "6").correct] == [True, True]
    assert len(DEFAULT_PROMPTS.executor(QUESTION, None, None, "json")) == 2
    assert all(
        redact_answer(DEFAULT_PROMPTS.strategy(QUESTION, 50)[n].content, "5 3 9 4 1", "8")[1] is False for n in (2, 4)
    )
