"""Provides tools to test extensions: stand-in models, a server that fails on purpose, and a check for each kind."""

from econ_env.llm.http.local import running_engine
from econ_env.simulation import KnownOptimum, Landscape, SimulatedLLM, known_optimum
from econ_env.testing.dataset_checks import check_dataset
from econ_env.testing.embedder_checks import check_embedder
from econ_env.testing.env_checks import CheckError, check_env
from econ_env.testing.faulty_server import Fault, FaultyServer, RawAnswer, Seen
from econ_env.testing.llm_checks import check_llm
from econ_env.testing.method_checks import check_method
from econ_env.testing.observation_checks import check_observation_part
from econ_env.testing.prompt_checks import check_prompt_set
from econ_env.testing.reward_checks import check_reward_term
from econ_env.testing.rule_checks import check_answer_rule
from econ_env.testing.scripted import ScriptedLLM

__all__ = [
    "CheckError", "Fault", "FaultyServer", "KnownOptimum", "Landscape", "RawAnswer", "ScriptedLLM", "Seen",
    "SimulatedLLM", "check_answer_rule", "check_dataset", "check_embedder", "check_env", "check_llm", "check_method",
    "check_observation_part", "check_prompt_set", "check_reward_term", "known_optimum",
    "running_engine",
]  # fmt: skip
