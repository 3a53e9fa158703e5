"""Whatever a client sends is read, or refused in one line: never another error."""

import json

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from econ_env.app.ask.chat_protocol import read_chat
from econ_env.app.ask.request import ApiError, Asked
from econ_env.app.ask.responses_protocol import read_response
from econ_env.app.ask.words import wants_words

TEXTS = st.sampled_from(["", " ", "x", "user", "text", "json_schema", "auto", "message", "half \ud83d", "\0", "What?"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 10**20) | st.floats() | TEXTS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["type", "role", "content", "text", "schema", "json_schema", "$ref"]), inner)
    ),
    max_leaves=8,
)
CHAT = [
    "model", "messages", "stream", "stream_options", "n", "max_tokens", "max_completion_tokens", "stop", "temperature",
    "top_p", "seed", "tools", "tool_choice", "functions", "function_call", "logprobs", "top_logprobs", "logit_bias",
    "response_format", "modalities", "audio", "frequency_penalty", "presence_penalty", "web_search_options", "other",
]  # fmt: skip
RESPONSES = [
    "model", "input", "instructions", "stream", "max_output_tokens", "text", "include", "previous_response_id", "n",
    "conversation", "prompt", "background", "metadata", "tools", "tool_choice", "seed", "stop", "temperature", "other",
]  # fmt: skip
GOOD = {
    read_chat: {"model": "econ", "messages": [{"role": "user", "content": "What?"}]},
    read_response: {"model": "econ", "input": "What?"},
}


def read_or_refusal(read, body) -> Asked | ApiError:
    try:
        return read(body)
    except ApiError as error:
        return error


@settings(max_examples=100, deadline=None, phases=[Phase.explicit, Phase.generate])  # shrinking takes minutes
@given(st.data())
@pytest.mark.parametrize(("read", "names"), [(read_chat, CHAT), (read_response, RESPONSES)])
def test_any_body_is_read_or_refused(read, names, data):
    changes = data.draw(st.dictionaries(st.sampled_from(names), VALUES, max_size=3))
    body = data.draw(st.just({**GOOD[read], **changes}) | VALUES)
    got = read_or_refusal(read, body)
    if isinstance(got, ApiError):
        assert 400 <= got.status < 500
        assert "\n" not in got.body()["error"]["message"]
        assert json.dumps(got.body()).encode()
    else:
        assert got.question.strip()
        assert wants_words(got, "auto") in (True, False)
        assert got.question.encode()


def test_the_question_has_instructions_and_turns_in_order():
    asked = read_response(
        {
            "model": "econ",
            "instructions": " Be brief. ",
            "input": [
                {"role": "user", "content": "What is 1 + 1?"},
                {"role": "assistant", "content": [{"type": "output_text", "text": "2"}]},
                {
                    "role": "user",
                    "content": [{"type": "input_text", "text": "And"}, "twice?"],
                },
            ],
        }
    )
    assert asked.question == "Be brief.\n\nUser: What is 1 + 1?\n\nAssistant: 2\n\nUser: And\ntwice?"
