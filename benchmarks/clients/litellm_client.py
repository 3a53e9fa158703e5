"""litellm: a completion, a stream, JSON by a schema, and its responses API."""

from __future__ import annotations

import json

import litellm
from given import KEY, MODEL, given, tell

url, questions, _ = given()
to = {"model": f"openai/{MODEL}", "api_base": url, "api_key": KEY}
messages = [{"role": "user", "content": questions[0]}]
schema = {"type": "object", "properties": {"answer": {"type": "integer"}}, "required": ["answer"]}
whole = litellm.completion(messages=messages, temperature=0, max_tokens=100, **to)
streamed = "".join(
    part.choices[0].delta.content or "" for part in litellm.completion(messages=messages, stream=True, **to)
)
form = {"type": "json_schema", "json_schema": {"name": "number", "schema": schema}}
as_json = litellm.completion(messages=messages, response_format=form, **to)
response = litellm.responses(input=questions[0], **to)
refused = ""
try:
    litellm.completion(messages=messages, logprobs=True, **to)
except litellm.BadRequestError as error:
    refused = str(error)
tell(
    "litellm",
    chat=whole.choices[0].message.content,
    chat_streamed=streamed,
    chat_parsed=json.loads(as_json.choices[0].message.content)["answer"],
    response=response.output[0].content[0].text,
    tokens=whole.usage.total_tokens,
    refused=refused,
)
