"""Makes a language model from a short description, such as a URL or `local`."""

from __future__ import annotations

import difflib
import logging
import os
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING

from econ_env import plugins
from econ_env.config import Device, LLMConfig
from econ_env.errors import ConfigError
from econ_env.llm.http.address import Address, clean_url, read_addresses, read_model
from econ_env.llm.protocol import LLM

if TYPE_CHECKING:
    from econ_env.llm.http.server import Server

__all__ = ["TOGETHER_MODEL", "TOGETHER_URL", "make_llm", "resolve"]

logger = logging.getLogger(__name__)

TOGETHER_URL = "https://api.together.xyz/v1"
TOGETHER_MODEL = "meta-llama/Llama-3.3-70B-Instruct-Turbo"
LOCAL_TIMEOUT = 600.0
LOCAL_ROUND_TIMEOUT = 3000.0
"""Defaults in seconds of `llm.timeout` and `llm.round_timeout` for a model that runs in this process."""


def make_llm(
    spec: str | LLM, config: LLMConfig | None = None, *, model: str | None = None, device: Device = "auto"
) -> LLM:
    """Make a language model; no server is contacted before the first call.

    Args:
        spec: Where the model runs:

            * `auto`: Together if `TOGETHER_API_KEY` is set, else `OPENAI_BASE_URL`, else `local`; the choice is logged.
            * `local`: a GGUF model in this process. `local:FILE.gguf` and `hub:ORG/REPO/FILE.gguf` choose the file.
            * `together`: Together AI; needs `TOGETHER_API_KEY`.
            * a URL: any OpenAI-compatible server; `OPENAI_API_KEY` is sent if it is set. Several URLs with commas
              between them are a pool: servers with the same model that share the calls. `*3` after a URL gives that
              server three times as many calls. A server that does not answer is left out until it does.
            * `simulated`: a simulated model with a known optimum, for tests; only the environment accepts it.
            * `recorded:BANK`: recorded replies (see `econ_env.load_bank`); only the environment accepts it.
            * a name that a package registers, or `module:attribute`: a `MakesLLM`, called once per model and process.
            * an `LLM` object: used unchanged.
        config: Deadlines, retries, limits, cache and budget; `None` means the defaults.
        model: The model's name at the server; by default the server's own. For `local`: a file, or `local` for the
            default. A model at a place of its own, whatever `spec` is: `NAME@URL`, a URL, `local:FILE.gguf`, `hub:...`.
        device: Where a model of this process computes; `auto` takes an accelerator if the engine finds one.

    Raises:
        ConfigError: The description can't be understood, or a key, a file or the device is missing.
        LLMUnavailableError: A local model was not found and could not be downloaded.
    """
    settings = LLMConfig() if config is None else config
    if model is not None:
        name, backend = read_model(model)
        if backend is not None:
            return make_llm(backend, settings, model=name, device=device)
    if not isinstance(spec, str):
        return _given(spec, model)
    spec = spec.strip()
    if spec == "auto":
        llm = make_llm(resolve(spec), settings, model=model, device=device)
        _say_choice(llm.info.backend, llm.info.model or "(the server's model)", llm.info.where)
        return llm
    if spec == "simulated":
        raise ConfigError(
            "the simulated model needs its problems: pass econ_env.simulation.model.SimulatedLLM(problems), "
            "or pass llm='simulated' to the environment"
        )
    if spec == "recorded" or spec.startswith("recorded:"):
        raise ConfigError(f"{spec} plays a whole team: pass it as llm to the environment, with models as executors")
    if plugins.find(plugins.LLMS, spec) is not None:
        return _added(spec, settings, model, os.getpid())
    from econ_env.llm.http.client import OpenAIClient

    server = _server(spec, settings, model, device)
    return OpenAIClient(server, settings if server.engine is None else _patient(settings))


@lru_cache
def _say_choice(backend: str, model: str, where: str) -> None:
    """Say which model `auto` is, once a process: a team makes it for each of its members."""
    logger.info("llm=auto: %s %s at %s", backend, model, where)


def _patient(config: LLMConfig) -> LLMConfig:
    """Use longer default deadlines for the embedded engine: it may be slow on few cores, and retries cost more time."""
    defaults = {"timeout": LOCAL_TIMEOUT, "round_timeout": LOCAL_ROUND_TIMEOUT}
    unset = {name: seconds for name, seconds in defaults.items() if name not in config.model_fields_set}
    return config.model_copy(update=unset)


@lru_cache(maxsize=64)
def _added(name: str, config: LLMConfig, model: str | None, process: int) -> LLM:
    """A model from a registered backend, shared by all environments of a process."""
    llm: LLM = plugins.call(plugins.LLMS, name, config, model)
    return llm


def _given(llm: LLM, model: str | None) -> LLM:
    """An LLM object unchanged, or, for an HTTP client, the same server with another model."""
    from econ_env.llm.http.client import OpenAIClient

    if not isinstance(llm, LLM):
        raise ConfigError(f"llm must be text or an object with info, complete and aclose, got {type(llm).__name__}")
    if model is None:
        return llm
    if isinstance(llm, OpenAIClient) and llm.server.engine is None:
        return OpenAIClient(replace(llm.server, model=model), llm.config)
    if model != llm.info.model:
        raise ConfigError(f"model {model!r} was requested, but the LLM object given runs {llm.info.model!r}")
    return llm


def resolve(spec: str) -> str:
    """The backend that `auto` means with this process's environment variables; other text is returned unchanged."""
    if spec != "auto":
        return spec
    if os.environ.get("TOGETHER_API_KEY"):
        return "together"
    return os.environ.get("OPENAI_BASE_URL") or "local"


def _server(spec: str, config: LLMConfig, model: str | None, device: Device) -> Server:
    from econ_env.llm.http.server import Server

    if spec == "together":
        if not os.environ.get("TOGETHER_API_KEY"):
            raise ConfigError("Together AI needs a key: set TOGETHER_API_KEY, or choose another llm")
        url = clean_url(os.environ.get("TOGETHER_BASE_URL") or TOGETHER_URL)
        return Server(
            backend="together",
            where=url,
            identity=url,
            addresses=(Address(url),),
            model=model or TOGETHER_MODEL,
            key_variable="TOGETHER_API_KEY",
            penalty_fields=("repetition_penalty",),
            sampler_fields=("top_k", "min_p"),
        )
    if "://" in spec:
        addresses = read_addresses(spec)
        where = ", ".join(map(str, addresses))
        return Server("openai", where, identity=addresses[0].url, addresses=addresses, model=model or "")
    if spec == "local" or spec.startswith(("local:", "hub:")) or spec.endswith(".gguf"):
        from econ_env.llm.http.local import local_server

        file = spec if model is None else model
        return local_server(None if file == "local" else file.removeprefix("local:"), config, device)
    names = plugins.names(plugins.LLMS)
    close = difflib.get_close_matches(spec, names, n=1)
    hint = (
        f"did you mean {close[0]!r}?" if close else f"give {', '.join(names)}, module:attribute, a URL, or a .gguf file"
    )
    raise ConfigError(f"unknown llm {spec!r}; {hint}")
