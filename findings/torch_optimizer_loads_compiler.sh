#!/usr/bin/env bash
# torch 2.13: making any optimizer imports torch._dynamo, the front end of torch.compile, with sympy and torch.distributed:
# hundreds of modules and more than a second, in each process, also if nothing is ever compiled. `import torch` and a
# backward pass do not need it; the wrapper around `Optimizer.add_param_group` does. A subclass that calls the functions
# inside the wrappers takes the same steps to the bit without it.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q "torch==2.13.0" numpy
cat > "$work/steps.py" <<'PY'
import inspect
import sys
import time
from types import MethodType

import torch


def inner(method):
    return MethodType(inspect.unwrap(method.__func__), method.__self__)


class Plain(torch.optim.AdamW):
    def add_param_group(self, group):
        inner(super().add_param_group)(group)

    def zero_grad(self, set_to_none=True):
        inner(super().zero_grad)(set_to_none)

    def step(self, closure=None):
        with torch.no_grad():
            return inner(super().step)(closure)


def loaded():
    return "torch._dynamo" in sys.modules


torch.manual_seed(0)
weight = torch.nn.Parameter(torch.randn(4))
weight.square().sum().backward()
print("after import and a backward pass:", loaded(), len(sys.modules))
begun = time.perf_counter()
optimizer = {"plain": Plain, "torch": torch.optim.AdamW}[sys.argv[1]]([weight], lr=0.1)
print(f"after making an optimizer ({time.perf_counter() - begun:.2f} s):", loaded(), len(sys.modules))
for _ in range(5):
    optimizer.zero_grad()
    weight.square().sum().backward()
    optimizer.step()
print("after five steps:", loaded(), len(sys.modules))
print("weights", weight.detach().numpy().tobytes().hex())
PY
"$work/venv/bin/python" -c 'import torch; print("torch", torch.__version__)'
for kind in torch plain; do
  echo "$kind"
  "$work/venv/bin/python" "$work/steps.py" "$kind" | tee "$work/$kind"
done
grep -q "backward pass: False" "$work/torch"
grep -q "optimizer (.*: True" "$work/torch"
grep -q "five steps: False" "$work/plain"
test "$(grep weights "$work/torch")" = "$(grep weights "$work/plain")"
echo "still so"
