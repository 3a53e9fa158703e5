#!/usr/bin/env bash
# lm-eval 0.4.13, backend `local-chat-completions`: a task with `repeats: 4` and a temperature asks the same question four
# times, and sends `"seed": 1234` with each of the four, although nobody set a seed. A server that heeds seeds (llama.cpp,
# vLLM, a cache) then gives four equal samples: self-consistency and pass@k are computed from one. The seed is an
# argument of the model (`--model_args ...,seed=7`), which changes it for all samples alike. A task that names no stop
# sequence also sends `"stop": ["\n\n"]`, which ends every answer after its first paragraph.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q "lm-eval[api]==0.4.13"
cat > "$work/ask.py" <<'PY'
import hashlib
import json
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from pathlib import Path

os.environ |= {"OPENAI_API_KEY": "none", "HF_HUB_OFFLINE": "1"}
import lm_eval
from lm_eval.tasks import TaskManager

ASKED = []


class Server(BaseHTTPRequestHandler):
    """Answers like a model that is sampled with the seed of the request."""

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        ASKED.append(body)
        drawn = hashlib.sha256(f"{body['seed']} {body['messages']}".encode()).digest()[0] % 10
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": str(drawn)}}
        said = json.dumps({"id": "1", "object": "chat.completion", "choices": [choice]}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, *arguments):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
rows = [{"question": f"What is {number} + {number}?", "answer": str(2 * number)} for number in range(1, 6)]
Path("problems.json").write_text("\n".join(map(json.dumps, rows)))
task = {
    "task": "sums",
    "dataset_path": "json",
    "dataset_kwargs": {"data_files": {"test": str(Path("problems.json").absolute())}},
    "test_split": "test",
    "output_type": "generate_until",
    "doc_to_text": "{{question}}",
    "doc_to_target": "{{answer}}",
    "repeats": 4,
    "generation_kwargs": {"do_sample": True, "temperature": 0.8},
    "metric_list": [{"metric": "exact_match"}],
    "filter_list": [{"name": "first", "filter": [{"function": "take_first"}]}],
}
Path("sums.yaml").write_text(json.dumps(task))
url = f"http://127.0.0.1:{server.server_address[1]}/v1/chat/completions"
found = lm_eval.simple_evaluate(
    model="local-chat-completions",
    model_args={"model": "any", "base_url": url},
    tasks=["sums"],
    task_manager=TaskManager(include_path=".", include_defaults=False),
    apply_chat_template=True,
    bootstrap_iters=0,
)
print("lm-eval", version("lm-eval"))
print("one request of", len(ASKED), ":", json.dumps(ASKED[0]))
samples = [sample["resps"] for sample in found["samples"]["sums"]]
print("samples of each problem:", json.dumps(samples))
assert len(ASKED) == 4 * len(rows)
assert {body["seed"] for body in ASKED} == {1234}
assert {body["temperature"] for body in ASKED} == {0.8}
assert all(body["stop"] == ["\n\n"] for body in ASKED)
assert all(len(set(map(str, four))) == 1 for one in samples for four in [one[0] if len(one) == 1 else one])
PY
cd "$work"
"$work/venv/bin/python" ask.py 2> /dev/null
echo "still so"
