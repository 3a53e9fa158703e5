"""Teams of language models that answer math problems, as a PettingZoo parallel environment.

Examples:
    >>> import econ_env
    >>> env = econ_env.parallel_env(problems="bundled", llm="simulated", embedder="hash")
    >>> observations, infos = env.reset(seed=0)

The import registers these ids. Gymnasium can do the import itself:

>>> import gymnasium
>>> env = gymnasium.make("econ_env:econ_env/Joint-v0", llm="simulated", embedder="hash")

All ids take the arguments of `parallel_env`; without `llm` they ask Together if `TOGETHER_API_KEY` is set, which costs
money. Everything else loads when it is first used.

| id                   | made by                                | what                                               |
|----------------------|----------------------------------------|----------------------------------------------------|
| `econ_env/Joint-v0`  | `gymnasium.make`, `gymnasium.make_vec` | `JointView`, `VectorTeam`                          |
| `econ_env/Tuple-v0`  | `gymnasium.make`                       | `TupleView` on a 5 x 5 grid of controls            |
| `econ_env/Econ-v0`   | `pettingzoo.make` (since 1.27)         | the parallel environment, or its AEC conversion    |
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import gymnasium
import pettingzoo

__version__ = "0.1.0"

if TYPE_CHECKING:
    from econ_env.answers import judge
    from econ_env.config import EnvConfig
    from econ_env.env import EconParallelEnv
    from econ_env.errors import EconError
    from econ_env.factory import parallel_env
    from econ_env.llm import LLM, ChatRequest, Completion, LLMInfo
    from econ_env.problems import load_problems
    from econ_env.recorded import Bank, load_bank
    from econ_env.records import Judgement, Problem, PromptEmbedding

__all__ = [
    "LLM", "Bank", "ChatRequest", "Completion", "EconError", "EconParallelEnv", "EnvConfig", "Judgement", "LLMInfo",
    "Problem", "PromptEmbedding", "judge", "load_bank", "load_problems", "parallel_env",
]  # fmt: skip

_NAMES = {
    "answers": "judge",
    "config": "EnvConfig",
    "env": "EconParallelEnv",
    "errors": "EconError",
    "factory": "parallel_env",
    "llm": "LLM ChatRequest Completion LLMInfo",
    "problems": "load_problems",
    "recorded": "Bank load_bank",
    "records": "Judgement Problem PromptEmbedding",
}
_MODULE_OF = {name: f"econ_env.{module}" for module, names in _NAMES.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULE_OF[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_MODULE_OF])


gymnasium.register(
    id="econ_env/Joint-v0",
    entry_point="econ_env.econ_v0:joint_env",
    vector_entry_point="econ_env.econ_v0:joint_vector_env",
)
gymnasium.register(
    id="econ_env/Tuple-v0",
    entry_point="econ_env.econ_v0:tuple_env",
    disable_env_checker=True,  # gymnasium's checker requires one reward, EPyMARL one per agent
)
if hasattr(pettingzoo, "register"):
    pettingzoo.register("parallel", "econ_env/Econ-v0", "econ_env.econ_v0:parallel_env")
    pettingzoo.register("aec", "econ_env/Econ-v0", "econ_env.econ_v0:env")
