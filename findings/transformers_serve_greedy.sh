#!/usr/bin/env bash
# transformers 5.24: `transformers serve` answers 200 to a request with a temperature, and decodes greedily all the same,
# unless the model's own generation_config has do_sample: true. Whoever varies the temperature of another model there
# measures nothing, and no error or warning says so.
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

folder, sample = sys.argv[1], sys.argv[2] == "yes"
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
).save_pretrained(folder)
model = LlamaForCausalLM(LlamaConfig(
    vocab_size=300, hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4,
    initializer_range=0.3, bos_token_id=0, eos_token_id=1,
))
model.generation_config = GenerationConfig(bos_token_id=0, eos_token_id=1, **({"do_sample": True} if sample else {}))
model.save_pretrained(folder)
PY
cat > "$work/ask.py" <<'PY'
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
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
    texts = []
    for seed in range(24):
        body = {
            "model": sys.argv[1], "messages": [{"role": "user", "content": "two and three"}],
            "max_tokens": 12, "temperature": 2.0, "seed": seed,
        }
        request = urllib.request.Request(
            f"{url}/v1/chat/completions", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request) as reply:
            assert reply.status == 200
            texts.append(json.load(reply)["choices"][0]["message"]["content"])
finally:
    server.terminate()
    server.wait()
print(f"transformers {version('transformers')}, {sys.argv[1]}: {len(set(texts))} texts of 24 at temperature 2")
assert (len(set(texts)) == 1) == (sys.argv[2] == "one"), set(texts)
PY
cd "$work"
for sample in no yes; do "$work/venv/bin/python" model.py "sample-$sample" "$sample" 2> model.log >&2 || { cat model.log; exit 1; }; done
"$work/venv/bin/python" ask.py sample-no one
"$work/venv/bin/python" ask.py sample-yes several
echo "still so"
