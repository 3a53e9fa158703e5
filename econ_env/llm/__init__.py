"""Language models: what one is to this package, and how one is made, called, limited, counted and cached.

`protocol` says what a model must offer; `make` finds one by name; `http` speaks to servers; `background` has the event
loop on which all calls run.
"""

from econ_env.llm.http.logprobs import confidence_of
from econ_env.llm.http.message import ran_out
from econ_env.llm.make import make_llm
from econ_env.llm.meter import MeterSnapshot, shared_meter
from econ_env.llm.protocol import CONTROLS_VERSION, LLM, ChatRequest, Completion, LLMInfo, MakesLLM, Message
from econ_env.llm.seeding import derive_seed

__all__ = [
    "CONTROLS_VERSION", "LLM", "ChatRequest", "Completion", "LLMInfo", "MakesLLM", "Message", "MeterSnapshot",
    "confidence_of", "derive_seed", "make_llm", "ran_out", "shared_meter",
]  # fmt: skip
