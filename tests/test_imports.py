"""What the packages import, and that every setting is read somewhere."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import BaseModel

from econ_agents.config import AgentConfig
from econ_env.app.run_config import RunConfig
from econ_env.config import EnvConfig

ROOT = Path(__file__).parents[1]
HEAVY = ("torch", "tianshou", "sentence_transformers", "datasets", "transformers", "matplotlib", "scipy", "pandas")


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def imported(path: Path) -> set[str]:
    """Top-level packages named in any import of a file, also inside functions."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module)
    return {name.partition(".")[0] for name in names}


@pytest.mark.parametrize("path", modules("econ_agents"), ids=lambda path: path.stem)
def test_the_agents_know_nothing_of_the_environment(path: Path) -> None:
    assert "econ_env" not in imported(path)


def loaded_by(statement: str) -> set[str]:
    code = f"{statement}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    return set(json.loads(done.stdout))


def test_the_environment_loads_nothing_heavy() -> None:
    loaded = loaded_by("import econ_env")
    assert "econ_env" in loaded
    assert {name for name in HEAVY if name in loaded} == set()
    assert "econ_agents" not in loaded


def test_the_command_line_loads_nothing_heavy() -> None:
    loaded = loaded_by("import econ_env.app.cli, econ_agents.config")
    assert {name for name in HEAVY if name in loaded} == set()


def test_an_environment_that_is_made_loads_no_learner() -> None:
    loaded = loaded_by("import econ_env.env, econ_env.config, econ_env.problems.load, econ_env.rewards.terms")
    assert {name for name in ("torch", "tianshou", "sentence_transformers", "datasets") if name in loaded} == set()


# Settings ---------------------------------------------------------------------------------------------------------


def fields(model: type[BaseModel]) -> set[str]:
    """Names of a model's settings, of its groups' too."""
    found: set[str] = set()
    for name, field in model.model_fields.items():
        found.add(name)
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            found |= fields(field.annotation)
    return found


def read_names() -> set[str]:
    """Names that code reads as an attribute; what a validator does with settings does not count."""
    names: set[str] = set()
    waiting: list[ast.AST] = [
        ast.parse(path.read_text(encoding="utf-8")) for path in [*modules("econ_agents"), *modules("econ_env")]
    ]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef) and any("validator" in ast.unparse(d) for d in node.decorator_list):
            continue
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
            names.add(node.attr)
        waiting += ast.iter_child_nodes(node)
    return names


def test_a_setting_that_nothing_reads_would_be_found() -> None:
    class Unread(BaseModel):
        gamma: float = 0.9
        never_read_by_anything: int = 1

    assert fields(Unread) - read_names() == {"never_read_by_anything"}


@pytest.mark.parametrize("model", [AgentConfig, EnvConfig, RunConfig])
def test_every_setting_is_read(model: type[BaseModel]) -> None:
    assert sorted(fields(model) - read_names()) == []
