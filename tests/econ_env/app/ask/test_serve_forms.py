"""Answers in the form that a request asks for, by chat completions and by responses, with the real OpenAI client."""

import asyncio
import json

import httpx2 as httpx
import openai
import pytest
from pydantic import BaseModel

from econ_env.testing.faulty_server import FaultyServer, RawAnswer
from tests.econ_env.app.ask.serving import PROBLEMS, a_client, a_solver, ask, served

QUESTION = PROBLEMS[0].question
FINAL = "Reply with only the number."
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": False}


def schema_format(schema=SCHEMA):
    return {"type": "json_schema", "json_schema": {"name": "number", "schema": schema}}


@pytest.fixture(scope="module")
def decided(solver):
    """What the team decides, whatever the words."""
    return asyncio.run(solver.solve(QUESTION, seed=0)).answer.rounds[-1].commitment.answer


class Number(BaseModel):
    """What answers are parsed into."""

    reasoning: str
    answer: int


# Chat completions ----------------------------------------------------------------------------------------------------


def test_the_words_follow_the_request_and_the_answer_stays(client, decided):
    plain, form = ask(client, QUESTION), ask(client, f"{QUESTION} {FINAL}")
    assert plain.model_extra["econ"]["words"] == {"by": "team", "error": None}
    assert form.model_extra["econ"]["words"] == {"by": "request", "error": None}
    assert plain.model_extra["econ"]["answer"] == form.model_extra["econ"]["answer"] == decided
    assert form.choices[0].message.content == decided
    assert form.model_extra["econ"]["calls"] == plain.model_extra["econ"]["calls"] + 1
    assert sum(form.model_extra["econ"]["tokens"].values()) == form.usage.total_tokens > plain.usage.total_tokens


def test_fields_of_a_framework_are_filled(client, decided):
    asked = (
        f"[[ ## question ## ]]\n{QUESTION}\n\nRespond with the corresponding output fields, starting with the field "
        "`[[ ## answer ## ]]`, and then ending with the marker for `[[ ## completed ## ]]`."
    )
    assert ask(client, asked).choices[0].message.content == f"[[ ## answer ## ]]\n{decided}\n\n[[ ## completed ## ]]"


def test_json_is_what_was_asked_for(client, decided):
    parsed = client.chat.completions.parse(
        model="econ", messages=[{"role": "user", "content": QUESTION}], response_format=Number
    )
    assert str(parsed.choices[0].message.parsed.answer) == decided
    some = ask(client, f"{QUESTION} Use JSON.", response_format={"type": "json_object"})
    assert json.loads(some.choices[0].message.content) == {"answer": decided}
    parts = list(ask(client, QUESTION, response_format=schema_format(), stream=True))
    said = "".join(part.choices[0].delta.content or "" for part in parts)
    assert json.loads(said) == {"n": int(decided)}


def test_several_answers_have_seeds_of_their_own(client, solver):
    done = ask(client, QUESTION, n=4)
    assert [choice.index for choice in done.choices] == [0, 1, 2, 3]
    told = done.model_extra["econ"]["choices"]
    assert len({json.dumps(one["rounds"]) for one in told}) > 1
    assert done.choices[0].message.content == ask(client, QUESTION).choices[0].message.content
    assert done.usage.total_tokens == sum(sum(one["tokens"].values()) for one in told)
    parts = list(ask(client, QUESTION, n=4, stream=True))
    texts = [""] * 4
    for part in parts:
        for choice in part.choices:
            texts[choice.index] += choice.delta.content or ""
    assert texts == [choice.message.content for choice in done.choices]


def test_an_assistant_turn_without_content_is_left_out(client, decided):
    turns = [
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": None, "tool_calls": []},
        {"role": "assistant", "content": None},
        {"role": "user", "content": QUESTION},
    ]
    body = {"model": "econ", "messages": turns, "tools": [], "tool_choice": "none", "logit_bias": {}, "stop": None}
    done = client.post("/chat/completions", body=body, cast_to=object)
    assert done["econ"]["answer"] == decided


# Responses -----------------------------------------------------------------------------------------------------------


def test_a_response_has_the_same_answer(client, decided):
    chat, response = ask(client, QUESTION), client.responses.create(model="econ", input=QUESTION)
    assert response.output_text == chat.choices[0].message.content
    assert (response.object, response.status, response.error) == ("response", "completed", None)
    assert response.usage.input_tokens == chat.usage.prompt_tokens
    assert response.usage.output_tokens == chat.usage.completion_tokens
    assert response.usage.total_tokens == chat.usage.total_tokens
    assert response.model_extra["econ"]["answer"] == decided


def test_instructions_and_earlier_output_are_read(client, decided):
    first = client.responses.create(model="econ", input=QUESTION, instructions=FINAL)
    assert first.output_text == decided
    turns = [
        {"role": "developer", "content": [{"type": "input_text", "text": FINAL}]},
        {"role": "user", "content": [{"type": "input_text", "text": "Hello"}]},
        {"type": "reasoning", "id": "rs_1", "summary": []},
        *(item.model_dump() for item in first.output),
        {"type": "message", "role": "user", "content": QUESTION},
    ]
    assert client.responses.create(model="econ", input=turns).output_text == decided


def test_events_of_a_stream_are_those_that_clients_need(client):
    whole = client.responses.create(model="econ", input=QUESTION)
    with client.responses.stream(model="econ", input=QUESTION) as stream:
        events = list(stream)
        final = stream.get_final_response()
    assert final.output_text == whole.output_text
    assert final.usage == whole.usage
    assert [event.sequence_number for event in events] == list(range(len(events)))
    kinds = [event.type.removeprefix("response.") for event in events]
    assert list(dict.fromkeys(kinds)) == [
        "created", "in_progress", "output_item.added", "content_part.added", "output_text.delta", "output_text.done",
        "content_part.done", "output_item.done", "completed",
    ]  # fmt: skip
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert "".join(deltas) == whole.output_text
    assert len(deltas) == len(whole.output_text.splitlines())


def test_a_response_in_json(client, decided):
    done = client.responses.parse(model="econ", input=QUESTION, text_format=Number)
    assert str(done.output_parsed.answer) == decided
    some = client.responses.create(
        model="econ", input=f"{QUESTION} Use JSON.", text={"format": {"type": "json_object"}}
    )
    assert json.loads(some.output_text) == {"answer": decided}


# What can't be done --------------------------------------------------------------------------------------------------

USER = [{"role": "user", "content": QUESTION}]
NO_TOOLS, NO_IMAGES, NO_FILES = (f"{what} are not supported" for what in ("tools", "images", "files"))


def a_part(kind, **more):
    """A user's message with a part of this type."""
    return [{"role": "user", "content": [{"type": kind, **more}]}]


def a_schema(schema):
    return {"response_format": schema_format(schema)}


CALLED = [{"role": "assistant", "content": None, "tool_calls": [{}]}, *USER]
RETURNED = [*USER, {"role": "tool", "content": "4", "tool_call_id": "1"}]
AN_ITEM = {"type": "function_call_output", "call_id": "1", "output": "4"}


@pytest.mark.parametrize(
    ("path", "more", "param", "says"),
    [
        ("chat", {"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools", NO_TOOLS),
        ("chat", {"functions": [{"name": "f"}]}, "functions", NO_TOOLS),
        ("chat", {"tool_choice": "required"}, "tool_choice", NO_TOOLS),
        ("chat", {"messages": RETURNED}, "messages.1.role", NO_TOOLS),
        ("chat", {"messages": CALLED}, "messages.0.tool_calls", NO_TOOLS),
        ("chat", {"logprobs": True}, "logprobs", "logprobs are not supported"),
        ("chat", {"top_logprobs": 3}, "top_logprobs", "logprobs are not supported"),
        ("chat", {"modalities": ["text", "audio"]}, "modalities", "audio is not supported"),
        ("chat", {"audio": {"voice": "x"}}, "audio", "audio is not supported"),
        ("chat", {"messages": a_part("image_url", image_url={"url": "x"})}, "messages.0.content.0", NO_IMAGES),
        ("chat", {"messages": a_part("input_audio")}, "messages.0.content.0", "audio is not supported"),
        ("chat", {"messages": a_part("file")}, "messages.0.content.0", NO_FILES),
        ("chat", {"web_search_options": {}}, "web_search_options", "web search is not supported"),
        ("chat", {"frequency_penalty": 0.5}, "frequency_penalty", "frequency_penalty is not supported"),
        ("chat", {"presence_penalty": 0.5}, "presence_penalty", "presence_penalty is not supported"),
        ("chat", {"logit_bias": {"50256": -100}}, "logit_bias", "logit_bias is not supported"),
        ("chat", {"temperature": 2.5}, "temperature", "less than or equal to 2"),
        ("chat", {"top_p": -0.1}, "top_p", "greater than or equal to 0"),
        ("chat", {"max_tokens": 0}, "max_tokens", "greater than or equal to 1"),
        ("chat", {"stop": ["a"] * 17}, "stop", "at most 16"),
        ("chat", {"seed": 1.5}, "seed", "integer"),
        ("chat", {"response_format": {"type": "json_schema"}}, "response_format", "needs a schema"),
        ("chat", a_schema({"type": "nothing"}), "response_format", "no valid JSON schema"),
        ("chat", a_schema({"$ref": "#"}), "response_format", "refers to itself"),
        ("chat", a_schema({"$ref": "http://127.0.0.1:9/x"}), "response_format", "leads nowhere"),
        ("chat", a_schema({"title": "x" * 40_000}), "response_format", "longer than"),
        ("chat", {"messages": "hello"}, "messages", "list"),
        ("chat", {"messages": ["hello"]}, "messages.0", "dictionary"),
        ("chat", {"messages": [{"role": "user"}]}, "messages.0.content", "is missing"),
        ("chat", {"messages": [{"content": "x"}]}, "messages.0.role", "it is missing"),
        ("chat", {"messages": [{"role": ["user"], "content": "x"}]}, "messages.0.role", "must be system"),
        ("chat", {"messages": [{"role": "user", "content": 4}]}, "messages.0.content", "must be a text"),
        ("chat", {"messages": [{"role": "user", "content": [{"text": "x"}]}]}, "messages.0.content.0.type", "required"),
        ("chat", {"messages": [{"role": "user", "content": "half \ud83d"}]}, "messages", "surrogate"),
        ("chat", {"messages": [{"role": "system", "content": QUESTION}]}, "messages", "must have role user"),
        ("chat", {"model": None}, "model", "valid string"),
        ("responses", {"input": None}, "input", "input is missing"),
        ("responses", {"input": "  "}, "input", "must have role user"),
        ("responses", {"input": 4}, "input", "valid string"),
        ("responses", {"tools": [{"type": "web_search"}]}, "tools", NO_TOOLS),
        ("responses", {"input": [AN_ITEM]}, "input.0.type", NO_TOOLS),
        ("responses", {"input": [{"type": "item_reference", "id": "1"}]}, "input.0.type", "nothing is stored"),
        ("responses", {"input": a_part("input_image")}, "input.0.content.0", NO_IMAGES),
        ("responses", {"previous_response_id": "resp_1"}, "previous_response_id", "nothing is stored"),
        ("responses", {"conversation": {"id": "1"}}, "conversation", "nothing is stored"),
        ("responses", {"prompt": {"id": "1"}}, "prompt", "stored prompts are not supported"),
        ("responses", {"background": True}, "background", "background is not supported"),
        ("responses", {"include": ["message.output_text.logprobs"]}, "include", "logprobs are not supported"),
        ("responses", {"text": {"format": {"type": "json_schema", "name": "x"}}}, "text.format", "needs a schema"),
    ],
)  # fmt: skip
def test_it_is_refused_in_one_line_of_words(url, path, more, param, says):
    asked = {"model": "econ", **({"messages": USER} if path == "chat" else {"input": QUESTION}), **more}
    where = "/chat/completions" if path == "chat" else "/responses"
    answer = httpx.post(url + where, content=json.dumps(asked), headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["param"] == param
    assert says in error["message"]
    assert "\n" not in error["message"]
    assert error["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    "more",
    [
        {"tools": None, "functions": [], "logprobs": False, "top_logprobs": 0, "n": 1, "user": "me", "metadata": {}},
        {"frequency_penalty": 0, "presence_penalty": 0.0, "parallel_tool_calls": True, "service_tier": "auto"},
        {"reasoning_effort": "low", "verbosity": "low", "store": False, "prediction": None, "modalities": ["text"]},
        {"response_format": {"type": "text"}, "stream": None, "stream_options": None, "seed": -3, "stop": ""},
        {"max_tokens": None, "max_completion_tokens": 100, "temperature": None, "unknown_field": {"x": [1]}},
        {"tool_choice": "auto", "top_p": 0, "temperature": 0, "stop": ["", "zzz"]},
    ],
)  # fmt: skip
def test_fields_without_an_effect_are_accepted(url, more, decided):
    seedless = {name: value for name, value in more.items() if name != "seed"}
    answer = httpx.post(f"{url}/chat/completions", json={"model": "econ", "messages": USER, **seedless})
    assert answer.status_code == 200, answer.text
    assert answer.json()["econ"]["answer"] == decided
    assert httpx.post(f"{url}/chat/completions", json={"model": "econ", "messages": USER, **more}).status_code == 200


@pytest.mark.parametrize(
    "path", ["/v1/completions", "/v1/embeddings", "/chat/completions", "/v1", "/", "/v1/responses/1"]
)
def test_an_unknown_path_says_which_there_are(url, path):
    answer = httpx.post(url.removesuffix("/v1") + path, json={})
    assert answer.status_code == 404
    message = answer.json()["error"]["message"]
    assert message == (
        f"there is no {path}; there are POST /v1/chat/completions, POST /v1/responses, GET /v1/models, GET /health"
    )


def test_a_wrong_method_says_what_there_is(url):
    answer = httpx.get(f"{url}/responses")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")
    assert "POST /v1/responses" in answer.json()["error"]["message"]


def test_health_needs_no_key(solver):
    with served(solver, key="s3cret") as url:
        answer = httpx.get(url.removesuffix("/v1") + "/health")
        assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
        assert httpx.get(f"{url}/models").status_code == 401


# Models that write badly ---------------------------------------------------------------------------------------------


def a_writer(*written):
    """A model that answers 4, and then writes these words, the last of them again and again."""
    left = list(written)

    def reply(body):
        if not body["messages"][0]["content"].startswith("You write the reply"):
            return "The answer is 4."
        said = left.pop(0) if len(left) > 1 else left[0]
        return RawAnswer({"content": said[0]}, "length") if isinstance(said, tuple) else said

    return reply


@pytest.fixture
def written(small):
    """Asks a team whose model writes these words."""

    def run(words, question="What is 1 + 3? Reply with only the number.", *, policy="auto", settings=(), **more):
        with FaultyServer(a_writer(*words)) as models:
            base = ("env_args.reply_format=text", f"llm.backend={models.url}", "llm.cache=false", "llm.max_retries=0")
            with served(a_solver(small, None, *base, *settings), words=policy) as url, a_client(url) as client:
                done = ask(client, question, **more)
                return done, list(models.seen.bodies)

    return run


def test_words_that_change_the_answer_are_asked_for_again(written):
    done, asked = written(["5", "4"])
    assert done.choices[0].message.content == "4"
    assert [len(body["messages"]) for body in asked[-2:]] == [2, 4]
    assert "it does not state the answer 4" in asked[-1]["messages"][-1]["content"]
    assert done.model_extra["econ"]["calls"] == 7


def test_words_that_keep_changing_the_answer_are_not_used(written):
    done, _ = written(["The answer is 5."])
    assert done.choices[0].message.content == "The answer is 4."
    assert done.model_extra["econ"]["words"] == {"by": "team", "error": "it does not state the answer 4"}
    assert done.model_extra["econ"]["answer"] == "4"


def test_words_that_repeat_the_prompt_are_not_used(written):
    done, _ = written(["The team's answer: 4\n\nThe team's solution: 4", "4"])
    assert done.choices[0].message.content == "4"
    done, _ = written(["The team's answer: 4"])
    assert done.choices[0].message.content == "The answer is 4."
    assert done.model_extra["econ"]["words"]["error"] == "it repeats the prompt"


def test_json_that_does_not_fit_is_asked_for_again_and_then_an_error(written):
    done, _ = written(['{"n": "four"}', '```json\n{"n": 4}\n```'], response_format=schema_format())
    assert json.loads(done.choices[0].message.content) == {"n": 4}
    for words, why in (("nothing", "not JSON"), ('{"n": 5}', "does not state the answer 4"), ('{"m": 4}', "not fit")):
        with pytest.raises(openai.InternalServerError, match=why) as caught:
            written([words], response_format=schema_format())
        assert (caught.value.status_code, caught.value.code) == (502, "form_failed")


def test_the_limits_of_a_request_hold_for_its_words(written):
    done, asked = written([("4",)], max_tokens=3, temperature=1.5, top_p=0.5)
    assert (done.choices[0].message.content, done.choices[0].finish_reason) == ("4", "length")
    assert [asked[-1][name] for name in ("max_tokens", "temperature", "top_p")] == [3, 1.5, 0.5]
    assert [round(body["temperature"], 3) for body in asked[:-1]] == [0.1, 0.7, 0.7, 0.7, 0.1]
    done, _ = written(["4\nQuestion: and now?"], stop=["\nQuestion:"])
    assert done.choices[0].message.content == "4"


def test_the_model_is_shown_request_answer_and_solution(written):
    _, asked = written(["4"])
    assert asked[-1]["messages"][1]["content"] == (
        "Request:\nWhat is 1 + 3? Reply with only the number.\n\nThe team's answer: 4\n\n"
        "The team's solution: The answer is 4."
    )


def test_a_team_that_votes_has_its_words_written_too(written):
    votes = ("env_args.commitment=vote", "env_args.strategy=off")
    done, asked = written(['{"n": 4}'], settings=votes, response_format=schema_format())
    assert json.loads(done.choices[0].message.content) == {"n": 4}
    assert len(asked) == 3 + 1
    assert asked[-1]["response_format"]["json_schema"]["schema"] == SCHEMA


def test_when_words_are_written_can_be_chosen(written):
    assert len(written(["4"], policy="never")[1]) == 5
    assert len(written(["4"], "What is 1 + 3?", policy="always")[1]) == 6
    with pytest.raises(openai.BadRequestError, match="--words never") as caught:
        written(["4"], policy="never", response_format={"type": "json_object"})
    assert caught.value.code == "unsupported_response_format"
