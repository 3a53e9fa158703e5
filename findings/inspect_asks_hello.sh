#!/usr/bin/env bash
# inspect_ai 0.3.285, provider `openai/`, any model name that it does not know behind a base URL of your own: it takes the
# model for a reasoning one and calls POST /v1/responses. (1) Before the first sample it asks the model "Please say 'hello,
# world'", to see whether reasoning summaries work. The tokens of that call are in no log. (2) If the server answers it with
# an error 500, it asks again at every sample, three times each: twelve requests for three samples. (3) `seed` is not sent,
# without a word; with `responses_api=False` it is, and nothing is asked first.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q "inspect-ai==0.3.285" "openai==3.57.0"
cat > "$work/ask.py" <<'PY'
import json
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version

os.environ["INSPECT_DISPLAY"] = "none"
from inspect_ai import Task, eval
from inspect_ai.dataset import Sample
from inspect_ai.model import GenerateConfig, get_model

HELLO = "Please say 'hello, world'"
TOKENS = 11
asked = []
hello_status = 200


class Server(BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        asked.append((self.path, body))
        if self.path == "/v1/responses":
            part = {"type": "output_text", "text": "2", "annotations": []}
            message = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [part]}
            usage = {
                "input_tokens": TOKENS - 1,
                "output_tokens": 1,
                "total_tokens": TOKENS,
                "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
                "output_tokens_details": {"reasoning_tokens": 0},
            }
            said = {
                "id": "resp_1", "object": "response", "created_at": 1, "model": body["model"], "status": "completed",
                "output": [message], "usage": usage, "parallel_tool_calls": False, "tool_choice": "none", "tools": [],
            }
        else:
            choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "2"}}
            usage = {"prompt_tokens": TOKENS - 1, "completion_tokens": 1, "total_tokens": TOKENS}
            said = {
                "id": "1", "object": "chat.completion", "created": 1, "model": body["model"], "choices": [choice],
                "usage": usage,
            }
        sent = json.dumps(said).encode()
        self.send_response(hello_status if body.get("input") == HELLO else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(sent)))
        self.end_headers()
        self.wfile.write(sent)

    def log_message(self, *arguments):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_address[1]}/v1"


def evaluate(**more):
    """Requests, those that say hello, and the tokens of the log, for three samples."""
    asked.clear()
    config = GenerateConfig(temperature=0.5, max_tokens=99, seed=3)
    model = get_model("openai/my-own-model", base_url=url, api_key="none", memoize=False, config=config, **more)
    samples = [Sample(input=f"1 + {number}", target="2") for number in range(3)]
    (log,) = eval(Task(dataset=samples), model=model, log_dir="logs")
    assert log.status == "success", log.error
    tokens = sum(usage.total_tokens for usage in log.stats.model_usage.values())
    hellos = [body for _, body in asked if body.get("input") == HELLO]
    seeds = {body.get("seed") for _, body in asked if body.get("input") != HELLO}
    print(f"{more or 'default'}: {len(asked)} requests, {len(hellos)} hello, {tokens} tokens in the log, seeds {seeds}")
    return len(asked), len(hellos), tokens, seeds


print("inspect_ai", version("inspect-ai"))
assert evaluate() == (4, 1, 3 * TOKENS, {None})
assert asked[0][0] == "/v1/responses"
hello_status = 500
assert evaluate() == (12, 9, 3 * TOKENS, {None})
assert evaluate(responses_api=False) == (3, 0, 3 * TOKENS, {3})
PY
cd "$work"
"$work/venv/bin/python" ask.py
echo "still so"
