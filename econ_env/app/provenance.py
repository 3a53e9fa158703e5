"""Where a result comes from: versions, settings, commit; written into every summary."""

from __future__ import annotations

import importlib.metadata
import platform
import subprocess
from pathlib import Path
from typing import Any

import econ_env
from econ_env.answers import DEFAULT_RULE
from econ_env.app.run_config import RunConfig
from econ_env.prompts import PROMPT_VERSION
from econ_env.rewards import REWARD_VERSION

PACKAGES = ("tianshou", "torch", "pettingzoo", "gymnasium", "openai", "sentence-transformers", "datasets", "numpy")


def provenance(config: RunConfig) -> dict[str, Any]:
    """Settings, seed, versions of rules and packages, and the commit, as plain values."""
    return {
        "config": config.model_dump(mode="json"),
        "seed": config.seed,
        "versions": {
            "econ": econ_env.__version__,
            "answer_rule": DEFAULT_RULE.name,
            "prompts": PROMPT_VERSION,
            "rewards": REWARD_VERSION,
            "python": platform.python_version(),
            **{name: importlib.metadata.version(name) for name in PACKAGES},
        },
        "git_hash": _git_hash(),
    }


def _git_hash() -> str | None:
    """Commit of the source tree, with a plus if it has changes; `None` outside a checkout."""
    here = Path(econ_env.__file__).parent
    try:
        head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=here, capture_output=True, text=True, check=True)
        changed = subprocess.run(["git", "status", "--porcelain"], cwd=here, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return head.stdout.strip() + ("+" if changed.stdout.strip() else "")
