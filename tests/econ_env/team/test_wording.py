"""Words of a decided answer: which requests ask for a form, what fits it, and whether a text says the answer."""

import json
import re

import pytest

from econ_env.answers import DEFAULT_RULE
from econ_env.team.wording import PLAIN, Form, SchemaError, asks_for_form, carries, unfenced, wording

JSON = Form("json_object")


@pytest.mark.parametrize(
    "request_",
    [
        "What is 2 + 2? Reply with only the number.",
        "Answer with one word: is 7 prime?",
        "What is 2 + 2? Just the number, please.",
        "Give the result as JSON.",
        "Return your answer in the format X/Y.",
        'The last line of your response should be of the form "ANSWER: $ANSWER".',
        "[[ ## question ## ]]\nWhat is 2 + 2?",
        "Put the final answer within \\boxed{}.",
        "Write the answer after ####.",
        "What is 2 + 2? No explanation.",
        "Answer in a single sentence.",
    ],
)
def test_words_that_ask_for_a_form(request_):
    assert asks_for_form(request_)


@pytest.mark.parametrize(
    "request_",
    [
        "What is 12 * 7 - 5?",
        "Emma reads 1 page on Wednesday and 2 pages on Thursday. How many pages does Emma read in all?",
        "There are only 3 apples left. How many were there before Tom ate 2?",
        "She gives 4 of them to Tom and has just 2. How many did she have?",
        "The first number is 4, the last one is 9. What is their product?",
    ],
)
def test_plain_questions(request_):
    assert not asks_for_form(request_)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("4", "4"),
        ("The answer is 4.", "4"),
        ("ANSWER: 4", "4"),
        ("3 + 1 = 4\n#### 4", "4"),
        ("[[ ## reasoning ## ]]\n3 + 1 = 4\n\n[[ ## answer ## ]]\n4\n\n[[ ## completed ## ]]", "4"),
        ("[[ ## answer ## ]]\n4\n\n[[ ## confidence ## ]]\n0.9\n\n[[ ## completed ## ]]", "4"),
        ("<answer>4</answer><score>10</score>", "4"),
        ("answer: 4, confidence: 90%", "4"),
        ("\\boxed{\\frac{1}{2}}", "1/2"),
        ("It costs $4.00.", "4"),
        ("Paris", "Paris"),
        ("The capital of France is Paris, on the Seine.", "Paris"),
        ("(B)", "B"),
        ("four", "4"),
        ('{"answer": 4}', "4"),
    ],
)
def test_texts_that_say_the_answer(text, answer):
    assert carries(text, answer, PLAIN, DEFAULT_RULE)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("5", "4"),
        ("The answer is 5.", "4"),
        ("First I thought 4. The answer is 5.", "4"),
        ("5 + 4 = 9", "4"),
        ("40", "4"),
        ("-4", "4"),
        ("4.5", "4"),
        ("ANSWER: 5\n4 was close", "4"),
        ("[[ ## answer ## ]]\n5\n\n[[ ## completed ## ]]", "4"),
        ("", "4"),
        ("I can't say.", "4"),
        ("London", "Paris"),
        ("\\boxed{5}, not 4", "4"),
        ('{"answer": 5, "other": 4}', "4"),
    ],
)
def test_texts_that_do_not(text, answer):
    assert not carries(text, answer, PLAIN, DEFAULT_RULE)


@pytest.mark.parametrize(
    ("value", "answer", "says"),
    [
        ({"answer": 4}, "4", True),
        ({"answer": "4"}, "4", True),
        ({"answer": "4 apples", "n": 1}, "4", True),
        ({"answer": 5, "other": 4}, "4", False),
        ({"steps": ["3 + 1", "= 4"], "result": {"value": 4.0}}, "4", True),
        ({"result": 5}, "4", False),
        ({"prime": True}, "yes", True),
        ({"prime": False}, "yes", False),
        ({"prime": True}, "1", False),
        ({"choice": "B"}, "B", True),
        ({"text": ""}, "4", False),
        ([4], "4", True),
        (None, "4", False),
    ],
)
def test_json_that_says_the_answer(value, answer, says):
    assert carries(json.dumps(value), answer, JSON, DEFAULT_RULE) is says


@pytest.mark.parametrize(
    ("form", "text", "fault"),
    [
        (PLAIN, "anything", None),
        (JSON, '{"a": 1}', None),
        (JSON, "[1]", "it is not a JSON object"),
        (JSON, "a: 1", "it is not JSON"),
        (JSON, '{"a": ' * 500 + "1" + "}" * 500, "it is nested in more than 64 levels"),
        (JSON, "[" * 100_000, "it is not JSON"),
        (Form.of_schema({"type": "array", "items": {"type": "integer"}}), "[1, 2]", None),
        (Form.of_schema({"type": "array", "items": {"type": "integer"}}), '[1, "x"]', "1 does not fit the schema: "),
        (Form.of_schema({"$defs": {"n": {"minimum": 3}}, "$ref": "#/$defs/n"}), "2", "the JSON does not fit the sch"),
        (Form.of_schema({"$schema": "http://json-schema.org/draft-07/schema#", "const": 1}), "1", None),
    ],
)
def test_what_fits_a_form(form, text, fault):
    found = form.fault(text)
    assert found is None if fault is None else found is not None and found.startswith(fault)


def nested(name, levels):
    made = {}
    for _ in range(levels):
        made = {name: made}
    return made


@pytest.mark.parametrize(
    ("schema", "says"),
    [
        ({"type": "nothing"}, "no valid JSON schema"),
        ({"properties": 3}, "no valid JSON schema"),
        ({"$ref": "#/nowhere"}, "leads nowhere"),
        ({"$ref": "https://models.example/schema.json"}, "leads nowhere"),
        ({"$ref": "#"}, "refers to itself"),
        ({"pattern": "("}, "'(' is not a 'regex'"),
        ({"$schema": ["x"]}, "no valid JSON schema"),
        ({"$ref": "http://[x"}, "leads nowhere"),
        ({"$id": "http://[x", "$ref": "y"}, "can't be used: ValueError"),
        (nested("properties", 70), "nested in more than 64 levels"),
    ],
)
def test_schemas_that_nothing_can_be_checked_with(schema, says):
    with pytest.raises(SchemaError, match=re.escape(says)):
        Form.of_schema(schema)


def test_a_reference_deep_in_a_schema_is_found_when_it_is_used():
    hidden = {"b": {"pattern": "("}}  # below a keyword of its own, where no pattern is checked
    parts = {"a": {"$ref": "#/nowhere"}, "b": {"$ref": "#/hidden/b"}}
    form = Form.of_schema({"properties": parts, "hidden": hidden})
    assert form.fault('{"c": 1}') is None
    with pytest.raises(SchemaError, match="leads nowhere"):
        form.fault('{"a": 1}')
    with pytest.raises(SchemaError, match="pattern that can't be read"):
        form.fault('{"b": "x"}')


def test_a_code_fence_around_json_is_taken_off():
    assert unfenced('```json\n{"a": 1}\n```') == unfenced('{"a": 1}\n') == '{"a": 1}'
    assert unfenced("say ```json\n{}\n```") == "say ```json\n{}\n```"


def test_the_prompt_shows_request_answer_solution_and_form():
    system, user = wording("How many? In JSON.", "4", " 3 + 1 = 4 ", Form.of_schema({"type": "integer"}))
    assert "do not change it" in system.content
    assert user.content == (
        "Request:\nHow many? In JSON.\n\nThe team's answer: 4\n\nThe team's solution: 3 + 1 = 4\n\n"
        'Form of the reply: JSON that fits this schema: {"type": "integer"}'
    )
    _, _, said, again = wording("How many?", None, None, PLAIN, ("5", "it is not JSON"))
    assert (said.role, said.content, again.role) == ("assistant", "5", "user")
    assert "it is not JSON" in again.content
