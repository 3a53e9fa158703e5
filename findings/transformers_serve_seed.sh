#!/usr/bin/env bash
# transformers 5.24: a seed repeats at `transformers serve` only if requests come one at a time. The seed of a request is
# set for the whole process when the request arrives, but its text is generated later, after those that wait before it.
# With several requests in flight, each text is drawn from whatever seed came last. No request is refused for it.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q "transformers[serving]==5.24.0" "torch>=2.6,<2.14"
cat > "$work/model.py" <<'PY'
import sys

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

torch.manual_seed(0)
learned = Tokenizer(models.BPE())
learned.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
learned.decoder = decoders.ByteLevel()
learned.train_from_iterator(
    ["two and three are five"],
    trainers.BpeTrainer(vocab_size=300, special_tokens=["<s>", "</s>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet()),
)
PreTrainedTokenizerFast(
    tokenizer_object=learned, bos_token="<s>", eos_token="</s>",
    chat_template="{% for m in messages %}<s>{{ m['content'] }}</s>{% endfor %}",
).save_pretrained(sys.argv[1])
model = LlamaForCausalLM(LlamaConfig(
    vocab_size=300, hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4,
    initializer_range=0.3, bos_token_id=0, eos_token_id=1,
))
model.generation_config = GenerationConfig(do_sample=True, bos_token_id=0, eos_token_id=1)
model.save_pretrained(sys.argv[1])
PY
cat > "$work/ask.py" <<'PY'
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version

with socket.create_server(("127.0.0.1", 0)) as found:
    port = found.getsockname()[1]
url = f"http://127.0.0.1:{port}"
command = [sys.executable, "-m", "transformers.cli.transformers", "serve", sys.argv[1], "--host", "127.0.0.1"]
quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
server = subprocess.Popen([*command, "--port", str(port)], env={**os.environ, "HF_HUB_OFFLINE": "1"}, **quiet)
try:
    for _ in range(600):
        try:
            urllib.request.urlopen(f"{url}/health").close()
            break
        except OSError:
            assert server.poll() is None
            time.sleep(0.1)

    def ask(seed):
        body = {
            "model": sys.argv[1], "messages": [{"role": "user", "content": "two and three"}],
            "max_tokens": 24, "temperature": 1.0, "seed": seed,
        }
        request = urllib.request.Request(
            f"{url}/v1/chat/completions", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request) as reply:
            assert reply.status == 200
            return json.load(reply)["choices"][0]["message"]["content"]

    once = [ask(7) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(ask, [7] * 8))
finally:
    server.terminate()
    server.wait()
print("transformers", version("transformers"))
print(f"one seed, 8 requests, one after another: {len(set(once))} texts")
print(f"one seed, 8 requests at once:            {len(set(together))} texts")
assert len(set(once)) == 1, once
assert len(set(together)) > 1, together
PY
cd "$work"
"$work/venv/bin/python" model.py tiny 2> model.log >&2 || { cat model.log; exit 1; }
"$work/venv/bin/python" ask.py tiny
echo "still so"
