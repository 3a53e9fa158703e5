"""Loads a team's models and embedder, checks its servers, and prints facts about them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from econ_env.app.runs.display import console
from econ_env.embedding import HashEmbedder, SentenceEmbedder
from econ_env.env import EconParallelEnv
from econ_env.llm import background
from econ_env.llm.http.client import OpenAIClient
from econ_env.team.rounds import Team


def reach_team(env: EconParallelEnv, *, embeds: bool = True, learner: str | None = None) -> dict[str, Any]:
    """Load the models of an environment and print their names.

    Args:
        env: The environment.
        embeds: Whether texts will be embedded; otherwise the embedder is not loaded.
        learner: The learner's device; `None` if there is no learner.

    Returns:
        Facts for `summary.json`: `coordinator`, `executor`, `names`, `embedder` (`None` if nothing is
        embedded), `reply_format`, and `devices` of embedder, engine and learner (`None` for a part that is not used or
        decides for itself), and `samplers`: what each server is asked for so that controls mean the same everywhere.

    Raises:
        EconError: Models or embedder are unavailable.
    """
    with console.status("loading models"):
        team = env.team
        backend, where = team.executors[0].info.backend, team.executors[0].info.where
        dim = env.layout.dim if embeds else 0
        for llm in _clients(team):
            background.run(llm.prepare())  # now, not while the run's clock waits for the first answer
    names = " / ".join(filter(None, team.models)) or where
    embedder, form = env.encoder.embedder.name if embeds else None, team.form(team.executors[0])
    facts = {
        "models": f"{backend}: {names}",
        "embedder": f"{embedder} ({dim} numbers)",
        "team": f"1 coordinator, {len(team.executors)} executors, {form} replies",
    }
    devices = {
        "embedder": _embedder_device(env) if embeds else None,
        "engine": _engine_device(team),
        "learner": learner,
    }
    used = {part: device for part, device in devices.items() if device is not None}
    if env.config.device != "auto" or set(used.values()) - {"cpu"}:
        facts["devices"] = ", ".join(f"{part} {device}" for part, device in used.items())
    print_facts({label: text for label, text in facts.items() if embeds or label != "embedder"})
    return {
        **model_facts(team),
        "embedder": embedder,
        "reply_format": form,
        "devices": devices,
        "samplers": _samplers(team),
    }


def model_facts(team: Team) -> dict[str, Any]:
    """`coordinator`, `executor` and `names` of the models, for `summary.json`.

    A model that was not named has its name only after the first call.
    """
    infos = {"coordinator": team.coordinator.info, "executor": team.executors[0].info}
    return {**{role: asdict(info) for role, info in infos.items()}, "names": list(team.models)}


def _samplers(team: Team) -> dict[str, dict[str, Any]]:
    """By server, the fields that ask for neutral samplers, and whether the server is known to heed them."""
    return {
        llm.server.where: {
            "asked": [*llm.server.penalty_fields, *llm.server.sampler_fields],
            "heeded": "yes" if llm.server.engine is not None else "unknown",
        }
        for llm in _clients(team)
    }


def _embedder_device(env: EconParallelEnv) -> str | None:
    embedder = env.encoder.embedder
    if isinstance(embedder, HashEmbedder):
        return "cpu"
    return embedder.device if isinstance(embedder, SentenceEmbedder) else None


def _engine_device(team: Team) -> str | None:
    """Where the embedded engine computes, by its own name for an accelerator; `None` without one."""
    for llm in (team.coordinator, *team.executors):
        if isinstance(llm, OpenAIClient) and llm.server.engine is not None:
            return llm.server.engine.gpu or "cpu"
    return None


def reach_servers(team: Team) -> None:
    """Check that the servers of a team answer, before the files of an earlier run are moved.

    Raises:
        LLMUnavailableError: One does not answer.
    """
    with console.status("reaching the models"):
        for llm in _clients(team):
            if llm.server.engine is None:
                background.run(llm.reach())


def _clients(team: Team) -> list[OpenAIClient]:
    """The models of a team that are asked over HTTP, each once."""
    models = dict.fromkeys((team.coordinator, *team.executors))
    return [llm for llm in models if isinstance(llm, OpenAIClient)]


def print_facts(facts: dict[str, str]) -> None:
    """Print a line per fact: its name and its text."""
    for label, text in facts.items():
        console.print(f"{label:<9}{text}", highlight=False, markup=False)
