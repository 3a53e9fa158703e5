"""The examples of what can be added: each passes its check when run as a script, and each kind has one."""

from __future__ import annotations

import importlib
import runpy
import tomllib
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "benchmarks" / "examples"
PACKAGE = EXAMPLES / "econ_examples"
MODULES = sorted(path.stem for path in PACKAGE.glob("*.py") if path.stem != "__init__")
PROJECT = tomllib.loads((EXAMPLES / "pyproject.toml").read_text())


@pytest.mark.parametrize("name", MODULES)
def test_an_example_passes_its_own_check(name, monkeypatch):
    checked = []
    for module in ("econ_env.testing", "econ_agents.testing"):
        offered = importlib.import_module(module)
        for check in (check for check in offered.__all__ if check.startswith("check_")):
            real = vars(offered)[check]
            monkeypatch.setattr(
                offered, check, lambda *args, real=real, check=check: checked.append(check) or real(*args)
            )
    namespace = runpy.run_path(str(PACKAGE / f"{name}.py"), run_name="__main__")
    assert len(checked) == 1
    assert checked[0] in namespace


def test_every_module_is_registered_and_nothing_else():
    paths = [path for own in PROJECT["project"]["entry-points"].values() for path in own.values()]
    assert sorted(path.partition(":")[0] for path in paths) == [f"econ_examples.{name}" for name in MODULES]
    assert PROJECT["tool"]["setuptools"]["packages"] == ["econ_examples"]
