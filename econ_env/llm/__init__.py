"""Language models: what one is to this package, and how one is made, called, limited, counted and cached.

`protocol` says what a model must offer; `make` finds one by name; `http` speaks to servers.
"""

from econ_env.llm.protocol import LLM, ChatRequest, Completion, LLMInfo, MakesLLM, Message

__all__ = ["LLM", "ChatRequest", "Completion", "LLMInfo", "MakesLLM", "Message"]
