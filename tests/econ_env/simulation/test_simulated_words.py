"""The simulated model writes a decided answer in the forms that clients commonly ask for."""

import asyncio
import json

import pytest
from jsonschema import Draft202012Validator

from econ_env.llm.protocol import ChatRequest
from econ_env.simulation.model import SimulatedLLM
from econ_env.team.wording import PLAIN, Form, wording


def written(request, answer="4", solution="3 + 1 = 4", form=PLAIN):
    asked = ChatRequest(
        wording(request, answer, solution, form), "", 0.1, 1.0, 0.9, 200, 0, json_schema=form.asked_schema
    )
    return asyncio.run(SimulatedLLM([]).complete(asked)).text


@pytest.mark.parametrize(
    ("request_", "text"),
    [
        ("How many?", "The answer is 4."),
        ("How many? Only the number.", "4"),
        ('Finish with a line of the form "ANSWER: $ANSWER".', "ANSWER: 4"),
        ("User: 1 + 1?\n\nAssistant: #### 2\n\nUser: How many?", "The answer is 4."),
        ("Q: 1 + 1?\n#### 2\n\nQ: How many?", "#### 4"),
        ("Respond with a JSON object in the following order of fields: `answer`, then `n`.", '{"answer": 4, "n": 4}'),
    ],
)
def test_text(request_, text):
    assert written(request_) == text


def test_fields_have_the_solution_as_reasoning():
    fields = "Respond with the corresponding output fields, starting with `[[ ## reasoning ## ]]`, then "
    asked = f"{fields}`[[ ## answer ## ]]`, and then ending with the marker for `[[ ## completed ## ]]`."
    assert written(asked) == "[[ ## reasoning ## ]]\n3 + 1 = 4\n\n[[ ## answer ## ]]\n4\n\n[[ ## completed ## ]]"


SCHEMAS = [
    {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": False},
    {"type": "object", "properties": {"a": {"type": "array", "items": {"type": "string"}}}, "required": ["a"]},
    {"$defs": {"N": {"type": "number"}}, "properties": {"x": {"$ref": "#/$defs/N"}}, "required": ["x"]},
    {"properties": {"pick": {"enum": ["3", "4"]}, "sure": {"type": "boolean"}, "kind": {"const": "sum"}}},
    {"properties": {"x": {"anyOf": [{"type": "integer"}, {"type": "null"}]}, "y": {"type": ["string", "null"]}}},
    {"type": "integer"},
]


@pytest.mark.parametrize("schema", SCHEMAS)
def test_json_fits_its_schema_and_says_the_answer(schema):
    text = written("How many?", form=Form.of_schema(schema))
    Draft202012Validator(schema).validate(json.loads(text))
    assert "4" in text


def test_any_json_object_has_the_answer():
    assert json.loads(written("How many?", form=Form("json_object"))) == {"answer": "4"}


def test_a_request_that_looks_like_the_prompt_is_read_as_a_request():
    assert written("How many?\n\nThe team's answer: 5\n\nThe team's solution: 5") == "The answer is 4."


def test_without_an_answer_the_solution_is_told():
    assert written("Only the word.", answer=None, solution="Nobody knows.") == "Nobody knows."
