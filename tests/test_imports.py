"""What the packages import, and that every setting is read somewhere."""

from __future__ import annotations

import ast
import graphlib
import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel

from econ_agents.config import AgentConfig
from econ_env.app.run_config import RunConfig
from econ_env.config import EnvConfig
from econ_env.testing import FaultyServer

ROOT = Path(__file__).parents[1]
HEAVY = ("torch", "tianshou", "sentence_transformers", "datasets", "transformers", "matplotlib", "scipy", "pandas")


DESIGN = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def dotted(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {dotted(path): path for package in ("econ_env", "econ_agents") for path in modules(package)}


def imported(path: Path) -> Iterator[tuple[str, str]]:
    """Module and name of every import from a file, also inside functions and for types; a module alone has no name."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module, f"{path} has a relative import"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield (inner, "") if inner in MODULES else (node.module, alias.name)


ARROWS = {name: {to for to, _ in imported(path) if to in MODULES} - {name} for name, path in MODULES.items()}


def room(module: str) -> str:
    """What the map in docs/design.md has a line for: `econ_env.llm` for `econ_env.llm.http.pool`."""
    return ".".join(module.split(".")[:2])


def floors() -> dict[str, int]:
    """The line of each room on the map in docs/design.md; the packages' own faces stand above all."""
    (plan,) = re.findall(r"^```\n(econ_env\n.*?)^```", DESIGN, re.M | re.S)
    found: dict[str, int] = {}
    package = ""
    for number, line in enumerate(plan.splitlines()):
        if line and not line.startswith(" "):
            package = line.strip()
            found[package] = 1000
        for name in line[:41].split() if line.startswith("  ") else ():
            found[f"{package}.{name}"] = number
    return found


def test_the_map_names_every_room_and_no_other():
    assert {room(name) for name in MODULES} == set(floors())


def test_a_room_imports_only_from_rooms_above_it_on_the_map():
    floor = floors()
    wrong = {
        (name, to)
        for name, targets in ARROWS.items()
        for to in targets
        if room(to) != room(name) and floor[room(to)] >= floor[room(name)]
        and room(name).startswith(room(to).split(".")[0]) and not room(name).endswith(".app")
    }  # fmt: skip
    assert wrong == set()


def test_no_modules_import_one_another_in_a_circle():
    try:
        tuple(graphlib.TopologicalSorter(ARROWS).static_order())
    except graphlib.CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_a_circle_would_be_found():
    with pytest.raises(graphlib.CycleError):
        tuple(graphlib.TopologicalSorter(ARROWS | {"econ_env.records": {"econ_env.env"}}).static_order())


def packages(path: Path) -> set[str]:
    return {module.partition(".")[0] for module, _ in imported(path)}


@pytest.mark.parametrize("path", modules("econ_agents"), ids=dotted)
def test_the_agents_know_nothing_of_the_environment(path: Path) -> None:
    assert "econ_env" not in packages(path)


@pytest.mark.parametrize("path", [path for path in modules("econ_env") if "app" not in path.parts], ids=dotted)
def test_only_the_command_line_knows_the_learner(path: Path) -> None:
    # sentence-transformers computes with torch, and has to be asked through it for a single thread.
    allowed = {"torch"} if dotted(path) == "econ_env.embedding.sentence" else set()
    assert packages(path) & {"econ_agents", "torch", "tianshou"} <= allowed


FACES = [path for path in MODULES.values() if path.name == "__init__.py" and len(path.relative_to(ROOT).parts) > 2]


@pytest.mark.parametrize("path", FACES, ids=dotted)
def test_a_face_is_short_and_defines_nothing(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 24
    kinds = {type(node) for node in ast.parse(text).body}
    assert kinds <= {ast.Expr, ast.ImportFrom, ast.Assign}


BENCHMARKS = [path for path in modules("benchmarks") if "bundled" not in path.parts]


@pytest.mark.parametrize("path", BENCHMARKS, ids=dotted)
def test_benchmarks_use_public_names_only(path: Path) -> None:
    faces = {name for name, module in MODULES.items() if module.name == "__init__.py"}
    ours = {
        (module, name) for module, name in imported(path) if module.partition(".")[0] in ("econ_env", "econ_agents")
    }
    public = {(m, n) for m, n in ours if m in faces or m.count(".") == 1 or m.rpartition(".")[0] in ("econ_env.app",)}
    loops = {("econ_env.llm.background", "")}
    assert ours - public - loops == set()
    assert {name for _, name in ours if name.startswith("_")} == set()


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


def test_a_simulated_team_answers_without_the_packages_that_are_slow_to_load() -> None:
    code = (
        "import sys, econ_env, numpy as np\n"
        "env = econ_env.parallel_env(problems='bundled:1', n_agents=3, llm='simulated', embedder='hash')\n"
        "env.reset(seed=0)\n"
        "env.step({agent: np.array([0.7, 1.1], np.float32) for agent in env.agents})\n"
        f"print(sorted(set({HEAVY}) & set(sys.modules)))\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


AT_THE_FIRST_CALL = """
import json, runpy, signal, sys

def tell(*_):
    from tianshou.algorithm import algorithm_base
    from tianshou.data.buffer import manager
    functions = vars(algorithm_base) | vars(manager)
    compiled = [name for name, value in functions.items() if getattr(value, "signatures", None)]
    print(json.dumps([sorted(sys.modules), compiled]), file=sys.__stderr__, flush=True)
    signal.raise_signal(signal.SIGKILL)

signal.signal(signal.SIGUSR1, tell)
del sys.argv[0]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="needs signals of POSIX")
def test_training_has_not_loaded_what_it_does_not_need_when_the_first_call_is_sent(tmp_path: Path) -> None:
    script = str(ROOT / "benchmarks" / "run_math_test.py")

    def ask(body: object) -> str:
        running.send_signal(signal.SIGUSR1)
        running.wait(60)
        return ""

    with FaultyServer(ask) as server:
        options = {"llm": server.url, "dataset": "bundled:1", "embedder": "hash", "train-eps": "4", "test-eps": "1"}
        folders = {"log-dir": str(tmp_path / "logs"), "model-dir": str(tmp_path / "models")}
        given = [f"--{name}={value}" for name, value in (options | folders).items()]
        command = [sys.executable, "-c", AT_THE_FIRST_CALL, script, "--no-cache", *given]
        running = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        _, told = running.communicate(timeout=60)
    loaded, compiled = json.loads(told.splitlines()[-1])
    unwanted = ("torch._dynamo", "torch._inductor", "sentence_transformers", "transformers", "sklearn", "torchvision")
    assert {"torch", "tianshou"} <= set(loaded)
    assert [name for name in unwanted if name in loaded] == []
    assert compiled == []
