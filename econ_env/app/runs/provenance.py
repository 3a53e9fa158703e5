"""Collects the versions, settings and commit behind a result, for every summary."""

from __future__ import annotations

import importlib.metadata
import platform
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import econ_env
from econ_agents.plugins import BUILT_IN, MIXERS, SOLVERS
from econ_env import plugins
from econ_env.answers import make_rule
from econ_env.app.run_config import RunConfig
from econ_env.llm.protocol import CONTROLS_VERSION
from econ_env.plugins import Kind
from econ_env.rewards.terms import reward_version
from econ_env.team.prompts import make_prompts

PACKAGES = ("tianshou", "torch", "pettingzoo", "gymnasium", "openai", "sentence-transformers", "datasets", "numpy")


def provenance(config: RunConfig) -> dict[str, Any]:
    """Settings, seed, versions of rules and packages, extensions, and the commit, as plain values.

    Raises:
        ConfigError: An extension could not be loaded.
    """
    return {
        "config": config.model_dump(mode="json"),
        "controls": list(config.sampling.controls),
        "seed": config.seed,
        "versions": {
            "econ": econ_env.__version__,
            "answer_rule": make_rule(config.answer_rule).name,
            "prompts": make_prompts(config.prompts).name,
            "rewards": reward_version(config.reward),
            "controls": CONTROLS_VERSION,
            "python": platform.python_version(),
            **{name: importlib.metadata.version(name) for name in PACKAGES},
        },
        "added": added(config),
        "git_hash": _git_hash(),
    }


def added(config: RunConfig, methods: Sequence[str] = ()) -> dict[str, dict[str, str | None]]:
    """The extensions that a run uses: by entry-point group, each name with its distribution and version.

    Args:
        config: The run's settings.
        methods: Names of methods that are not built in.
    """
    used: dict[Kind, Sequence[str]] = {
        plugins.LLMS: [config.llm.backend],
        plugins.DATASETS: [config.env_args.hf_dataset_path],
        plugins.ANSWER_RULES: [config.answer_rule],
        plugins.EMBEDDERS: [config.embedder],
        plugins.REWARD_TERMS: config.reward.terms,
        plugins.OBSERVATION_PARTS: config.observation.parts,
        plugins.PROMPT_SETS: [config.prompts],
        plugins.METHODS: methods,
        Kind("mixer", MIXERS, built_in=BUILT_IN[MIXERS]): [config.network.mixer],
        Kind("solver", SOLVERS, built_in=BUILT_IN[SOLVERS]): [config.bne.solver],
    }
    found = {
        kind.group: {name: plugins.origin(kind, name) for name in names if plugins.find(kind, name) is not None}
        for kind, names in used.items()
    }
    return {group: names for group, names in found.items() if names}


def _git_hash() -> str | None:
    """Commit of the source tree, with a plus if it has changes; `None` outside a checkout."""
    here = Path(econ_env.__file__).parent
    try:
        head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=here, capture_output=True, text=True, check=True)
        changed = subprocess.run(["git", "status", "--porcelain"], cwd=here, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return head.stdout.strip() + ("+" if changed.stdout.strip() else "")
