"""Teams of language models that answer math problems, as a PettingZoo parallel environment.

>>> import econ_env
>>> env = econ_env.parallel_env(problems="bundled", llm="simulated", embedder="hash")
>>> observations, infos = env.reset(seed=0)

Gymnasium knows it as `econ_env:econ_env/Joint-v0` (see `econ_env.wrappers`).

Everything heavy loads when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import gymnasium

__version__ = "0.1.0"

if TYPE_CHECKING:
    from econ_env.answers import judge
    from econ_env.config import EnvConfig
    from econ_env.env import EconParallelEnv
    from econ_env.errors import EconError
    from econ_env.factory import parallel_env
    from econ_env.llm import LLM, ChatRequest, Completion, LLMInfo
    from econ_env.problems import load_problems
    from econ_env.records import Judgement, Problem, PromptEmbedding

_WHERE = {
    "judge": "econ_env.answers",
    "EnvConfig": "econ_env.config",
    "EconParallelEnv": "econ_env.env",
    "EconError": "econ_env.errors",
    "parallel_env": "econ_env.factory",
    "LLM": "econ_env.llm",
    "ChatRequest": "econ_env.llm",
    "Completion": "econ_env.llm",
    "LLMInfo": "econ_env.llm",
    "load_problems": "econ_env.problems",
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


# `gymnasium.make("econ_env:econ_env/Joint-v0")` imports this module and expects the ids to be known then.
gymnasium.register(
    id="econ_env/Joint-v0",
    entry_point="econ_env.econ_v0:joint_env",
    vector_entry_point="econ_env.econ_v0:joint_vector_env",
)
gymnasium.register(
    id="econ_env/Tuple-v0",
    entry_point="econ_env.econ_v0:tuple_env",
    disable_env_checker=True,  # gymnasium's checker wants one reward, EPyMARL one for each agent
)
