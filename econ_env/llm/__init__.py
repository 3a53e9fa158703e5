"""Language models: what one is to this package, and how one is made, called, limited, counted and cached.

`protocol` says what a model must offer; `make` finds one by name; `http` speaks to servers; `background` has the event
loop on which all calls run.
"""

from econ_env.llm.http.logprobs import confidence_of
from econ_env.llm.make import make_llm
from econ_env.llm.meter import MeterSnapshot, shared_meter
from econ_env.llm.protocol import LLM, ChatRequest, Completion, LLMInfo, MakesLLM, Message

__all__ = [
    "LLM", "ChatRequest", "Completion", "LLMInfo", "MakesLLM", "Message", "MeterSnapshot", "confidence_of", "make_llm",
    "shared_meter",
]  # fmt: skip
