"""promptfoo: assertions on the number alone, on JSON, and on a sentence, through both of its OpenAI providers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from given import KEY, MODEL, given, tell

SCHEMA = {"type": "object", "properties": {"answer": {"type": "integer"}}, "required": ["answer"]}
CASES = {
    "number": ("{{question}} Reply with only the number.", {"type": "regex", "value": r"^-?\d+$"}),
    "json": (
        "{{question}} Reply with a JSON object with the field `answer`.",
        {"type": "is-json", "value": SCHEMA},
    ),
    "plain": ("{{question}}", {"type": "icontains", "value": "answer is"}),
}
"""Prompt and assertion by name."""

url, questions, _ = given()
to = {"apiBaseUrl": url, "apiKey": KEY}
folder = Path(os.environ["PROMPTFOO_HOME"])  # of the package; see `run.py`
package = json.loads((folder / "package.json").read_text(encoding="utf-8"))
config = {
    "providers": [{"id": f"openai:{api}:{MODEL}", "config": to} for api in ("chat", "responses")],
    "prompts": [{"label": name, "raw": prompt} for name, (prompt, _) in CASES.items()],
    "tests": [
        {"vars": {"question": questions[0]}, "assert": [claim], "prompts": [name]} for name, (_, claim) in CASES.items()
    ],
}
with tempfile.TemporaryDirectory() as here:
    (Path(here) / "config.json").write_text(json.dumps(config), encoding="utf-8")
    evaluate = ["eval", "-c", "config.json", "--no-cache", "--no-progress-bar", "--no-table", "-o", "out.json"]
    done = subprocess.run(
        ["node", folder / package["bin"]["promptfoo"], *evaluate],
        cwd=here,
        env={
            **os.environ,
            "PROMPTFOO_CONFIG_DIR": here,
            "PROMPTFOO_DISABLE_TELEMETRY": "1",
            "PROMPTFOO_DISABLE_UPDATE": "1",
            "PROMPTFOO_DISABLE_REMOTE_GENERATION": "1",
        },
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if not (Path(here) / "out.json").exists():
        sys.exit(done.stdout + done.stderr)
    results = json.loads((Path(here) / "out.json").read_text(encoding="utf-8"))["results"]["results"]
said = {
    f"{one['provider']['id'].split(':')[1]} {one['prompt']['label']}": [one["success"], one["response"].get("output")]
    for one in results
}
tell("promptfoo", release=package["version"], **said)
