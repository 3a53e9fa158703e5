"""dspy: its fields in text (the default) and in JSON, with and without a chain of thought."""

from __future__ import annotations

import dspy
from given import KEY, MODEL, given, tell

url, questions, _ = given()
lm = dspy.LM(f"openai/{MODEL}", api_base=url, api_key=KEY, cache=False, num_retries=0)
dspy.configure(lm=lm)
predict, think = dspy.Predict("question -> answer: int"), dspy.ChainOfThought("question -> answer")
thought = think(question=questions[0])
text = lm.history[-1]["outputs"]
seen = {
    "predict": [predict(question=question).answer for question in questions],
    "thought": [thought.reasoning, thought.answer],
    "text": text,
}
with dspy.context(adapter=dspy.JSONAdapter()):
    seen["as_json"] = [predict(question=question).answer for question in questions[:2]]
few = dspy.Predict("question -> answer: int")
few.demos = [dspy.Example(question="What is 1 + 1?", answer=2)]
seen["few_shot"] = few(question=questions[1]).answer
tell("dspy", **seen)
