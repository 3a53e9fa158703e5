#!/usr/bin/env bash
# transformers 5.24: `transformers serve` takes `frequency_penalty` x, an amount that other servers subtract from logits
# (-2 to 2, 0 is off), as a repetition penalty of 1 + x, a factor. The name `repetition_penalty`, which generate() itself
# has, is refused with 422. So the same request means something else there, and a negative x rewards repeating by a factor.
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
import urllib.error
import urllib.request
from importlib.metadata import version

from transformers import AutoModelForCausalLM, AutoTokenizer

PROMPT = "two and three"
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

    def ask(**more):
        body = {"model": sys.argv[1], "messages": [{"role": "user", "content": PROMPT}], "max_tokens": 24, "temperature": 0}
        request = urllib.request.Request(
            f"{url}/v1/chat/completions", json.dumps({**body, **more}).encode(), {"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request) as reply:
                return json.load(reply)["choices"][0]["message"]["content"]
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    served = {x: ask(frequency_penalty=x) for x in (-0.3, 0.0, 0.3)}
    refused = ask(repetition_penalty=1.3)
finally:
    server.terminate()
    server.wait()

tokenizer, model = AutoTokenizer.from_pretrained(sys.argv[1]), AutoModelForCausalLM.from_pretrained(sys.argv[1])
prompt = tokenizer.apply_chat_template([{"role": "user", "content": PROMPT}], return_tensors="pt", return_dict=True)
print("transformers", version("transformers"))
for x, text in served.items():
    made = model.generate(**prompt, do_sample=False, max_new_tokens=24, repetition_penalty=1.0 + x)
    own = tokenizer.decode(made[0, prompt["input_ids"].shape[1]:], skip_special_tokens=True)
    print(f"frequency_penalty {x}: {'the' if text == own else 'NOT the'} text of repetition_penalty {1.0 + x}")
    assert text == own, (text, own)
print("distinct texts:", len(set(served.values())))
print("repetition_penalty:", *refused)
assert len(set(served.values())) == 3
assert refused[0] == 422
PY
cd "$work"
"$work/venv/bin/python" model.py tiny 2> model.log >&2 || { cat model.log; exit 1; }
"$work/venv/bin/python" ask.py tiny
echo "still so"
