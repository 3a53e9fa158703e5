"""langchain-openai: invoke, stream, batch, a structured output, and the responses API."""

from __future__ import annotations

from given import KEY, MODEL, given, tell
from langchain_openai import ChatOpenAI
from pydantic import BaseModel


class Number(BaseModel):
    """The answer alone."""

    answer: int


url, questions, _ = given()
chat = ChatOpenAI(model=MODEL, base_url=url, api_key=KEY, temperature=0.0)
whole = chat.invoke([("system", "You are a helpful assistant."), ("human", questions[0])])
batch = chat.batch(questions[:3])
parsed = chat.with_structured_output(Number, method="json_schema").invoke(questions[0])
as_json = chat.with_structured_output(Number, method="json_mode").invoke(f"{questions[0]} Reply in JSON: answer.")
responses = ChatOpenAI(model=MODEL, base_url=url, api_key=KEY, use_responses_api=True)
tell(
    "langchain-openai",
    chat=whole.text,
    chat_streamed="".join(part.text for part in chat.stream(questions[0])),
    batch=[one.text for one in batch],
    chat_parsed=parsed.answer,
    json_mode=as_json.answer,
    response=responses.invoke(questions[0]).text,
    response_streamed="".join(part.text for part in responses.stream(questions[0])),
    tokens=whole.usage_metadata["total_tokens"],
)
