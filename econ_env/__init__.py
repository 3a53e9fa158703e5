"""Teams of language models that answer math problems, as a PettingZoo parallel environment.

>>> import econ_env
>>> env = econ_env.parallel_env(problems="bundled", llm="simulated", embedder="hash")
>>> observations, infos = env.reset(seed=0)

Gymnasium and PettingZoo know it by the ids in `econ_env.registration`.

Everything heavy loads when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from econ_env import registration

__version__ = "0.1.0"

if TYPE_CHECKING:
    from econ_env.answers import judge
    from econ_env.config import EnvConfig
    from econ_env.env import EconParallelEnv
    from econ_env.errors import EconError
    from econ_env.factory import parallel_env
    from econ_env.llm.protocol import LLM, ChatRequest, Completion, LLMInfo
    from econ_env.problems.load import load_problems
    from econ_env.records import Judgement, Problem, PromptEmbedding

_WHERE = {
    "judge": "econ_env.answers",
    "EnvConfig": "econ_env.config",
    "EconParallelEnv": "econ_env.env",
    "EconError": "econ_env.errors",
    "parallel_env": "econ_env.factory",
    "LLM": "econ_env.llm.protocol",
    "ChatRequest": "econ_env.llm.protocol",
    "Completion": "econ_env.llm.protocol",
    "LLMInfo": "econ_env.llm.protocol",
    "load_problems": "econ_env.problems.load",
    "Judgement": "econ_env.records",
    "Problem": "econ_env.records",
    "PromptEmbedding": "econ_env.records",
}

__all__ = [
    "LLM",
    "ChatRequest",
    "Completion",
    "EconError",
    "EconParallelEnv",
    "EnvConfig",
    "Judgement",
    "LLMInfo",
    "Problem",
    "PromptEmbedding",
    "judge",
    "load_problems",
    "parallel_env",
]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_WHERE[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_WHERE])


registration.register()
