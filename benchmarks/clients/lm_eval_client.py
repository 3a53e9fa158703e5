"""lm-eval: its backend `local-chat-completions` on a task of its own, whose problems are in a local JSON file."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

from given import KEY, MODEL, given, tell

url, questions, answers = given()
os.environ |= {"OPENAI_API_KEY": KEY, "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
import lm_eval  # noqa: E402 # reads the environment
from lm_eval.tasks import TaskManager  # noqa: E402

TASK = """
task: sums
dataset_path: json
dataset_kwargs: {{data_files: {{test: {file}}}}}
test_split: test
output_type: generate_until
doc_to_text: "Question: {{{{question}}}}\\nAnswer:"
doc_to_target: "{{{{answer}}}}"
generation_kwargs: {{until: ["Question:"], do_sample: false, temperature: 0.0, max_gen_toks: 256}}
filter_list:
  - name: last-number
    filter:
      - {{function: regex, group_select: -1, regex_pattern: "(-?[0-9]+)"}}
      - {{function: take_first}}
metric_list: [{{metric: exact_match, aggregation: mean, higher_is_better: true}}]
"""
with tempfile.TemporaryDirectory() as folder:
    file = Path(folder) / "problems.json"
    rows = [{"question": question, "answer": answer} for question, answer in zip(questions, answers, strict=True)]
    file.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    (Path(folder) / "sums.yaml").write_text(TASK.format(file=file), encoding="utf-8")
    found = lm_eval.simple_evaluate(
        model="local-chat-completions",
        model_args={"model": MODEL, "base_url": f"{url}/chat/completions", "num_concurrent": 4, "max_retries": 1},
        tasks=["sums"],
        task_manager=TaskManager(include_path=folder, include_defaults=False),
        apply_chat_template=True,
        bootstrap_iters=0,
    )
samples = found["samples"]["sums"]
tell(
    "lm-eval",
    completions=[sample["resps"][0][0] for sample in samples],
    accuracy=found["results"]["sums"]["exact_match,last-number"],
)
