"""Reaches a team's models and embedder, and tells what they are."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from econ_env.app.display import console
from econ_env.env import EconParallelEnv


def reach_team(env: EconParallelEnv) -> dict[str, Any]:
    """Load the models of an environment and print which they are.

    Returns:
        What `summary.json` says of them: `coordinator`, `executor`, `names`, `embedder`, `reply_format`.

    Raises:
        EconError: They can't be had.
    """
    with console.status("loading models"):
        team = env.team
        infos = {"coordinator": team.coordinator.info, "executor": team.executors[0].info}
        dim = env.layout.dim
    names = " / ".join(filter(None, team.models)) or infos["executor"].where
    embedder, form = env.encoder.embedder.name, team.form(team.executors[0])
    print_facts(
        {
            "models": f"{infos['executor'].backend}: {names}",
            "embedder": f"{embedder} ({dim} numbers)",
            "team": f"1 coordinator, {len(team.executors)} executors, {form} replies",
        }
    )
    return {
        **{role: asdict(info) for role, info in infos.items()},
        "names": list(team.models),
        "embedder": embedder,
        "reply_format": form,
    }


def print_facts(facts: dict[str, str]) -> None:
    """Print a line per fact, after its name."""
    for label, text in facts.items():
        console.print(f"{label:<9}{text}", highlight=False, markup=False)
