#!/usr/bin/env bash
# litellm 1.108: what a server says in an error does not pass the proxy as it is. (1) The `Retry-After` of a 429 arrives
# only as `llm_provider-retry-after`, which clients do not read: they come back too soon, or wait by a rule of their own.
# (2) An error in FastAPI's form, {"detail": ...}, arrives as "Error code: 422" without its text, so nobody behind the
# proxy learns which field was refused. An error in OpenAI's form keeps its text.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q "litellm[proxy]==1.108.7"
cat > "$work/ask.py" <<'PY'
import json
import os
import secrets
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from pathlib import Path

SAID = "Unexpected field: no_such_field"
ANSWERS = {
    "limited": (429, {"error": {"message": "slow down", "type": "rate_limit_error"}}, {"Retry-After": "2"}),
    "detail": (422, {"detail": SAID}, {}),
    "openai": (422, {"error": {"message": SAID, "type": "invalid_request_error"}}, {}),
}


class Upstream(BaseHTTPRequestHandler):
    def do_POST(self):
        model = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["model"]
        status, said, headers = ANSWERS[model]
        body = json.dumps(said).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


upstream = ThreadingHTTPServer(("127.0.0.1", 0), Upstream)
threading.Thread(target=upstream.serve_forever, daemon=True).start()
base = f"http://127.0.0.1:{upstream.server_address[1]}/v1"
models = [
    {"model_name": name, "litellm_params": {"model": f"openai/{name}", "api_base": base, "api_key": "none"}}
    for name in ANSWERS
]
Path("config.yaml").write_text(json.dumps({"model_list": models}))
with socket.create_server(("127.0.0.1", 0)) as found:
    port = found.getsockname()[1]
url, key = f"http://127.0.0.1:{port}", f"sk-{secrets.token_hex(32)}"
proxy = subprocess.Popen(
    [Path(sys.executable).with_name("litellm"), "--config", "config.yaml", "--host", "127.0.0.1", "--port", str(port)],
    env={**os.environ, "LITELLM_MASTER_KEY": key, "LITELLM_LOCAL_MODEL_COST_MAP": "True"},
    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
)


def ask(base, model):
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": "1 + 1?"}]}).encode()
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {key}"}
    try:
        urllib.request.urlopen(urllib.request.Request(f"{base}/chat/completions", body, headers))
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(), {name.lower(): value for name, value in error.headers.items()}
    raise AssertionError("no error")


try:
    for _ in range(1200):
        try:
            urllib.request.urlopen(f"{url}/health/liveliness").close()
            break
        except OSError:
            assert proxy.poll() is None
            time.sleep(0.1)
    print("litellm", version("litellm"))
    for name in ANSWERS:
        for where, address in (("server", base), ("proxy", f"{url}/v1")):
            status, said, headers = ask(address, name)
            waits = {field: value for field, value in headers.items() if "retry-after" in field}
            print(f"{name} at the {where}: {status} {waits} {said}")
            if where == "server":
                continue
            if name == "limited":
                assert status == 429
                assert waits == {"llm_provider-retry-after": "2"}, waits
            else:
                assert status == 422
                assert (SAID in said) == (name == "openai"), said
finally:
    proxy.terminate()
    proxy.wait()
PY
cd "$work"
"$work/venv/bin/python" ask.py
echo "still so"
