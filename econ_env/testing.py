"""What users test their own work with: stand-in models, a server that fails on purpose, and checks.

| Name                                   | What it is for                                                             |
|----------------------------------------|----------------------------------------------------------------------------|
| `ScriptedLLM`                          | a model that says what you tell it, and remembers what it was asked        |
| `SimulatedLLM`, `Landscape`            | a team whose chance of being right is a known function of (T, p)           |
| `known_optimum`, `KnownOptimum`        | that team with the exact accuracy of oracle, fixed and random control      |
| `FaultyServer`, `Fault`, `Seen`        | an OpenAI-compatible server over real HTTP: latency, failures, counters    |
| `check_env`                            | asks of a PettingZoo env all that trainers were seen to need               |
| `check_llm`                            | asks of a language model all that the environment needs                    |
"""

from econ_env.backends.simulated import SimulatedLLM
from econ_env.checks import CheckError, check_env
from econ_env.faulty_server import Fault, FaultyServer, Seen
from econ_env.known_optimum import KnownOptimum, known_optimum
from econ_env.landscape import Landscape
from econ_env.llm_checks import check_llm
from econ_env.scripted import ScriptedLLM

__all__ = [
    "CheckError",
    "Fault",
    "FaultyServer",
    "KnownOptimum",
    "Landscape",
    "ScriptedLLM",
    "Seen",
    "SimulatedLLM",
    "check_env",
    "check_llm",
    "known_optimum",
]
