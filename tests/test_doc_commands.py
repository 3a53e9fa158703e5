"""Every command in README and docs is read by the parser of its own program, and runs, or is named below with a reason.

Commands of a page run in their order, in a folder that looks like a checkout, with an empty home. Where no model is
named, they ask a stand-in server. The hub can't be reached.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import runpy
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from packaging.requirements import Requirement
from pages import ROOT, TEXTS, Block, Command, blocks, commands, inline_commands, prose

from econ_env.app.cli import econ
from econ_env.app.run_config import load_run_config
from econ_env.errors import ConfigError, LLMError
from econ_env.problems import load_problems
from econ_env.simulation import SimulatedLLM
from econ_env.testing import FaultyServer

NOT_RUN = {
    "make *": "installs packages, or runs tests: CI runs each target",
    "source *": "changes the shell that the reader sits in",
    "python3 -m venv *": "makes an environment for the reader",
    "pip install *": "installs packages; test_wheel.py installs the wheel",
    "git clone *": "gets another project",
    "cd epymarl": "enters it",
    "touch src/smaclite.py": "adds a file to it",
    "python src/main.py *": "is another project's: make thirdparty runs a stand-in with the same arguments",
    "vllm serve *": "needs a GPU",
    "ray *": "starts a cluster on this machine",
    "*--ray*": "starts a cluster on this machine; test_ray_run.py runs one",
    "*--llm=http://localhost:800[0-7]/v1*": "needs eight servers, and minutes",
    "python benchmarks/engines/run.py *": "installs another project's engine: make engines",
    "python benchmarks/plugins/run.py *": "installs another project's trainer: make thirdparty",
    "python benchmarks/recorded.py * --no-sampling *": "trains teams for minutes; test_on_record.py trains small ones",
    "python benchmarks/compare.py * hub:*": "needs a model from the hub, and two hours",
    "*two@http://localhost:8002/v1*": "needs two servers; test_live_team.py runs such a team",
    "econ train --llm recorded:two.parquet *": "needs what they said; test_live_team.py runs such a training",
    "econ record --llm local *": "asks a model in this process, for minutes; other tests record the simulated one",
}
"""Patterns of commands that no test here runs, and why; their arguments are checked all the same."""

UNTIL_STOPPED = "econ serve *"
"""Commands that run until they are stopped; they are started on a free port, and stopped once they listen."""

FOREIGN = ("source", "vllm", "ray", "python3", "git", "cd", "touch")
"""Programs of others, whose arguments nothing here can check; so is `python src/main.py`, which is EPyMARL's."""

NO_SETTINGS = ("...", "brevity", "question_length", "weighted_mean", "fictitious_play")
"""Inline settings with one of these are not whole, or name an extension of benchmarks/examples, not installed here."""

RUN = {page: commands(page) for page in TEXTS if commands(page)}
ALL = [command for page in TEXTS for command in (*commands(page), *inline_commands(page))]


def not_run(command: Command) -> str | None:
    """The pattern of `NOT_RUN` for a command, if there is one."""
    return next((pattern for pattern in NOT_RUN if fnmatchcase(command.text, pattern)), None)


class Parsed(Exception):  # not an error: it leaves a program once its arguments are read
    """The arguments were read."""


def read_only(command: click.Command, context: click.Context) -> None:
    """In place of `Command.invoke`: loads the settings, and runs nothing."""
    if not isinstance(command, click.Group):
        if "set_" in context.params:
            load_run_config(context.params["config"], context.params["set_"], {})
        raise Parsed


def parse_click(words: tuple[str, ...]) -> None:
    """Let the program read its arguments.

    Raises:
        click.UsageError: It refuses them.
    """
    if words[0] == "econ":
        econ.main(list(words[1:]), standalone_mode=False)
    elif words[1] == "-m":
        sys.argv = list(words[2:])
        name = words[2] if (ROOT / words[2].replace(".", "/")).with_suffix(".py").exists() else f"{words[2]}.__main__"
        module = importlib.import_module(name)
        module.main.main(list(words[3:]), standalone_mode=False)
    else:
        sys.argv = list(words[1:])
        runpy.run_path(str(ROOT / words[1]), run_name="__main__")


def test_the_pages_have_commands():
    assert len(ALL) > 50
    assert {"README.md", "docs/quickstart.md"} <= set(RUN)


@pytest.mark.parametrize("command", ALL, ids=lambda command: f"{command.place} {command.text[:60]}")
def test_a_program_accepts_its_arguments(command, monkeypatch, tmp_path, capsys):
    words = command.words
    if words[0] in FOREIGN or words[:2] == ("python", "src/main.py"):
        assert not_run(command)
    elif words[0] == "econ" and len(words) == 2:
        assert words[1] in (*econ.commands, "--help")
    elif words[0] == "make":
        assert re.search(rf"^{words[1]}:", (ROOT / "Makefile").read_text(), re.M)
    elif words[0] == "pip":
        check_pip(words)
    elif words[0].endswith(".sh"):
        help_text = (ROOT / words[0]).read_text()
        assert all(re.search(rf"^  {word} ", help_text, re.M) for word in words if word.startswith("--"))
    else:
        assert words[0] in ("econ", "python")
        for folder in ("benchmarks", "econ_env", "econ_agents"):
            (tmp_path / folder).symlink_to(ROOT / folder)
        give_files(tmp_path)
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", sys.argv)
        monkeypatch.setattr(sys, "path", sys.path[:])
        monkeypatch.setattr(click.Command, "invoke", read_only)
        with pytest.raises((Parsed, SystemExit)) as ended:
            parse_click(words)
        assert isinstance(ended.value, Parsed) or ended.value.code in (0, None), capsys.readouterr().err


def check_pip(words: tuple[str, ...]) -> None:
    """Assert that what `pip install` names is this project with known extras, a folder of it, or a requirement."""
    assert words[1] == "install"
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for word in words[2:]:
        own = re.fullmatch(r"\.\[([\w,]+)\]", word)
        if own:
            assert set(own[1].split(",")) <= set(extras)
        elif not word.startswith("-") and not (ROOT / word).is_dir():
            assert Requirement(word)


def give_files(folder: Path) -> None:
    """Put the files into a folder that readers of the pages have: other people's log, and an earlier run."""
    rows = [
        {"task_id": f"p{number}", "model": model, "pred": str(number), "gold": str(number)}
        for number in range(4)
        for model in ("one", "two")
    ]
    (folder / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for name in ("logs_exp1", "logs_compare", "models_exp1/final"):
        (folder / name).mkdir(parents=True, exist_ok=True)


def test_a_wrong_option_would_be_found(monkeypatch):
    monkeypatch.setattr(click.Command, "invoke", read_only)
    with pytest.raises(click.NoSuchOption):
        parse_click(("econ", "solve", "2 + 2?", "--modle-dir", "m"))
    with pytest.raises(ConfigError):
        parse_click(("econ", "solve", "2 + 2?", "--set", "bne.max_iterations_infr=2"))


def test_every_reason_is_needed_and_every_page_leaves_something_to_run():
    assert {not_run(command) for command in ALL} - {None} == set(NOT_RUN)


SETTINGS = [block for page in TEXTS for block in blocks(page, "yaml")] + [
    Block("yaml", text, page)
    for page in TEXTS
    for text in re.findall(r"(?<!`)`([a-z_]+: \{[^`]*\})`", prose(page))
    if not any(part in text for part in NO_SETTINGS)
]


@pytest.mark.parametrize("block", SETTINGS, ids=lambda block: f"{block.place} {block.text[:40]}")
def test_settings_are_known(block, tmp_path, monkeypatch):
    monkeypatch.setenv("MY_PROJECT", "mine")
    (tmp_path / "settings.yaml").write_text(block.text)
    assert yaml.safe_load(block.text)
    load_run_config(tmp_path / "settings.yaml", (), {})


@pytest.mark.parametrize("block", [b for page in TEXTS for b in blocks(page, "toml")], ids=lambda block: block.place)
def test_toml_names_known_groups(block):
    groups = tomllib.loads(block.text)["project"]["entry-points"]
    ours = tomllib.loads((ROOT / "benchmarks" / "examples" / "pyproject.toml").read_text())["project"]["entry-points"]
    assert set(groups) <= set(ours)


@pytest.fixture(scope="module")
def server() -> Iterator[FaultyServer]:
    """Answers bundled problems as the simulated team does, and any other question with 79."""
    splits = ("train", "test")
    simulated = SimulatedLLM([problem for split in splits for problem in load_problems("bundled", split=split)])

    def reply(body: Mapping[str, Any]) -> Any:
        try:
            return simulated.serve_reply(body)
        except LLMError:
            said = {"reasoning": "84 less 5.", "answer": "79"}
            return json.dumps(said) if "response_format" in body else "The answer is 79."

    with FaultyServer(reply, models=["test-model"]) as running:
        yield running


def surroundings(home: Path, url: str) -> dict[str, str]:
    """The environment of a reader who has a server, no keys, and no way to the hub."""
    kept = {name: os.environ[name] for name in ("LANG", "TMPDIR") if name in os.environ}
    return kept | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(home),
        "PYTHON": sys.executable,
        "PYTHONPATH": str(ROOT),
        "OPENAI_BASE_URL": url,
        "OMP_NUM_THREADS": "1",
        "HF_HUB_OFFLINE": "1",
    }


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an earlier run, for pages that begin after one."""
    folder = tmp_path_factory.mktemp("trained")
    line = [
        "python",
        str(ROOT / "benchmarks/run_p0_test.py"),
        "--llm",
        "simulated",
        "--train-eps",
        "8",
        "--test-eps",
        "4",
    ]
    run = subprocess.run(
        line, cwd=folder, env=surroundings(folder, ""), capture_output=True, text=True, timeout=300, check=False
    )
    assert run.returncode == 0, run.stderr[-2000:]
    return folder


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("page", RUN)
def test_a_pages_commands_run_in_their_order(page, server, trained, tmp_path):
    home = tmp_path / "home"
    folder = tmp_path / "checkout"
    home.mkdir()
    folder.mkdir()
    for name in ("benchmarks", "econ_env", "econ_agents", "pyproject.toml"):
        (folder / name).symlink_to(ROOT / name)
    give_files(folder)
    for name in ("logs_exp1", "models_exp1"):
        shutil.copytree(trained / name, folder / name, dirs_exist_ok=True)
    for command in RUN[page]:
        if not_run(command):
            continue
        words = [word.replace("http://localhost:8000/v1", server.url) for word in command.words]
        if fnmatchcase(command.text, UNTIL_STOPPED):
            started_and_stopped(words, folder, surroundings(home, server.url))
            continue
        run = subprocess.run(
            words, cwd=folder, env=surroundings(home, server.url), capture_output=True, text=True, timeout=600
        )
        assert run.returncode == 0, f"{command.place}: {command.text}\n{run.stdout[-1000:]}\n{run.stderr[-2000:]}"
        assert run.stdout, f"{command.place}: {command.text} printed nothing"


def started_and_stopped(words: list[str], folder: Path, env: dict[str, str]) -> None:
    """Start a server on a free port, and stop it once it says where it listens."""
    process = subprocess.Popen(
        [*words, "--port", "0"], cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert process.stdout is not None
    said = ""
    try:
        for line in process.stdout:
            said += line
            if re.search(r"http://127\.0\.0\.1:\d+/v1", line):
                break
        assert re.search(r"http://127\.0\.0\.1:\d+/v1", said), said
        assert process.poll() is None
    finally:
        process.terminate()
        process.communicate(timeout=60)
