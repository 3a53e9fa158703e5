"""The openai package: chat completions and responses, whole, streamed and parsed into a class."""

from __future__ import annotations

import openai
from given import KEY, MODEL, given, tell
from pydantic import BaseModel


class Number(BaseModel):
    """What answers are parsed into."""

    reasoning: str
    answer: int


url, questions, _ = given()
client = openai.OpenAI(base_url=url, api_key=KEY, max_retries=0)
question = questions[0]
messages = [{"role": "user", "content": question}]
chat = client.chat.completions.create(model=MODEL, messages=messages)
chunks = list(client.chat.completions.create(model=MODEL, messages=messages, stream=True))
several = client.chat.completions.create(model=MODEL, messages=messages, n=3)
parsed = client.chat.completions.parse(model=MODEL, messages=messages, response_format=Number)
response = client.responses.create(model=MODEL, input=question, instructions="Reply with the number only.")
turns = [
    {"role": "user", "content": [{"type": "input_text", "text": question}]},
    *response.output,
    {"role": "user", "content": question},
]
after = client.responses.create(model=MODEL, input=turns)
with client.responses.stream(model=MODEL, input=question) as stream:
    kinds = [event.type for event in stream]
    streamed = stream.get_final_response()
response_parsed = client.responses.parse(model=MODEL, input=question, text_format=Number)
refused = {}
tool = {"name": "add", "parameters": {"type": "object", "properties": {}}}
for name, ask in {
    "chat": lambda: client.chat.completions.create(
        model=MODEL, messages=messages, tools=[{"type": "function", "function": tool}]
    ),
    "responses": lambda: client.responses.create(model=MODEL, input=question, tools=[{"type": "function", **tool}]),
}.items():
    try:
        ask()
    except openai.BadRequestError as error:
        refused[name] = error.body["message"]
tell(
    "openai",
    chat=chat.choices[0].message.content,
    chat_streamed="".join(chunk.choices[0].delta.content or "" for chunk in chunks),
    choices=[choice.message.content for choice in several.choices],
    chat_parsed=parsed.choices[0].message.parsed.answer,
    response=response.output_text,
    response_after=after.output_text,
    kinds=list(dict.fromkeys(kinds)),
    response_streamed=streamed.output_text,
    response_parsed=response_parsed.output_parsed.answer,
    tokens=streamed.usage.total_tokens,
    refused=refused,
)
