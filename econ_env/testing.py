"""What users test their own work with: stand-in models, a server that fails on purpose, and checks.

| Name                                   | What it is for                                                             |
|----------------------------------------|----------------------------------------------------------------------------|
| `ScriptedLLM`                          | a model that says what you tell it, and remembers what it was asked        |
| `SimulatedLLM`, `Landscape`            | a team whose chance of being right is a known function of (T, p)           |
| `known_optimum`, `KnownOptimum`        | that team with the exact accuracy of oracle, fixed and random control      |
| `FaultyServer`, `Fault`, `Seen`        | an OpenAI-compatible server over real HTTP: latency, failures, counters    |
| `check_env`                            | asks of a PettingZoo env all that trainers were seen to need               |
| `check_llm`                            | asks of a language model all that the environment needs                    |
| `check_dataset`                        | asks whether problems can be trained and tested on                         |
| `check_answer_rule`                    | asks of an answer rule what judging needs                                  |
| `check_embedder`                       | asks of an embedder what rewards and observations need                     |
| `check_reward_term`                    | asks of a reward term that it is one on any round                          |
| `check_observation_part`               | asks the same of a part of an observation                                  |
| `check_prompt_set`                     | asks of prompts that they show what they should, and no more               |
| `check_method`                         | asks of a method that it is fair, reproducible and minds failed calls      |
"""

from econ_env.checks import CheckError, check_env
from econ_env.embedder_checks import check_embedder
from econ_env.faulty_server import Fault, FaultyServer, Seen
from econ_env.llm_checks import check_llm
from econ_env.method_checks import check_method
from econ_env.observation_checks import check_observation_part
from econ_env.problem_checks import check_dataset
from econ_env.prompt_checks import check_prompt_set
from econ_env.reward_checks import check_reward_term
from econ_env.rule_checks import check_answer_rule
from econ_env.scripted import ScriptedLLM
from econ_env.simulation.known_optimum import KnownOptimum, known_optimum
from econ_env.simulation.landscape import Landscape
from econ_env.simulation.model import SimulatedLLM

__all__ = [
    "CheckError",
    "Fault",
    "FaultyServer",
    "KnownOptimum",
    "Landscape",
    "ScriptedLLM",
    "Seen",
    "SimulatedLLM",
    "check_answer_rule",
    "check_dataset",
    "check_embedder",
    "check_env",
    "check_llm",
    "check_method",
    "check_observation_part",
    "check_prompt_set",
    "check_reward_term",
    "known_optimum",
]
