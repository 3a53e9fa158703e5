"""inspect_ai: an evaluation over a local JSON file, through its default API and through chat completions."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

from given import KEY, MODEL, given, tell
from inspect_ai import Task, eval
from inspect_ai.dataset import json_dataset
from inspect_ai.model import get_model
from inspect_ai.scorer import match
from inspect_ai.solver import generate, prompt_template

TEMPLATE = """
Solve the following math problem step by step. The last line of your response should be of the form "ANSWER: $ANSWER"
(without quotes) where $ANSWER is the answer to the problem.

{prompt}
""".strip()

url, questions, answers = given()
os.environ |= {"INSPECT_DISPLAY": "none", "INSPECT_EVAL_LOG_FILE_PATTERN": "{id}"}
with tempfile.TemporaryDirectory() as folder:
    file = Path(folder) / "problems.json"
    rows = [{"input": question, "target": answer} for question, answer in zip(questions, answers, strict=True)]
    file.write_text(json.dumps(rows), encoding="utf-8")
    seen = {}
    for name, more in {"default": {}, "chat": {"responses_api": False}, "responses": {"responses_api": True}}.items():
        task = Task(
            dataset=json_dataset(str(file)), solver=[prompt_template(TEMPLATE), generate()], scorer=match(numeric=True)
        )
        model = get_model(f"openai/{MODEL}", base_url=url, api_key=KEY, memoize=False, **more)
        (log,) = eval(task, model=model, log_dir=folder)
        seen[name] = {
            "status": log.status,
            "error": None if log.error is None else log.error.message[-300:],
            "completions": [sample.output.completion for sample in log.samples or ()],
            "accuracy": None if log.results is None else log.results.scores[0].metrics["accuracy"].value,
            "tokens": sum(usage.total_tokens for usage in log.stats.model_usage.values()),
        }
tell("inspect-ai", **seen)
