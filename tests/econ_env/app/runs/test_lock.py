"""Two runs in one folder: the second is refused with the process of the first; a crash releases the folder."""

import json
import signal
import subprocess
import sys

import pytest

from econ_env.app.cli import econ
from econ_env.app.runs.lock import HOLDER_FILE, FolderLocks
from econ_env.errors import ConfigError

HOLD = """
import sys, time
from pathlib import Path
from econ_env.app.runs.lock import FolderLocks
held = FolderLocks([("--log-dir", Path(sys.argv[1]))])
print("held", flush=True)
time.sleep(600)
"""


@pytest.fixture
def other(tmp_path):
    """Another process that holds a folder."""
    running = []

    def hold(folder):
        process = subprocess.Popen([sys.executable, "-c", HOLD, folder], stdout=subprocess.PIPE, text=True)
        running.append(process)
        assert process.stdout.readline() == "held\n"
        return process

    yield hold
    for process in running:
        process.kill()
        process.wait()
        process.stdout.close()


def test_the_second_is_refused_and_told_who_holds_it(other, tmp_path):
    process = other(tmp_path / "logs")
    with pytest.raises(ConfigError, match=rf"in use by process {process.pid} on .* choose another --log-dir"):
        FolderLocks([("--log-dir", tmp_path / "logs")])


@pytest.mark.slow
def test_a_crash_releases_the_folder(other, tmp_path):
    process = other(tmp_path / "logs")
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert (tmp_path / "logs" / HOLDER_FILE).exists()
    FolderLocks([("--log-dir", tmp_path / "logs")]).release()
    assert not (tmp_path / "logs" / HOLDER_FILE).exists()


@pytest.mark.slow
def test_what_was_locked_before_a_refusal_is_released(other, tmp_path):
    other(tmp_path / "models")
    with pytest.raises(ConfigError, match="choose another --model-dir"):
        FolderLocks([("--log-dir", tmp_path / "logs"), ("--model-dir", tmp_path / "models")])
    FolderLocks([("--log-dir", tmp_path / "logs")]).release()


@pytest.mark.slow
def test_a_holder_that_can_not_be_read_is_another_run(other, tmp_path):
    other(tmp_path / "logs")
    (tmp_path / "logs" / HOLDER_FILE).write_text("{")
    with pytest.raises(ConfigError, match="in use by another run"):
        FolderLocks([("--log-dir", tmp_path / "logs")])


@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        (["/bin/econ", "train", "--llm", "http://anna:geheim@h/v1"], "econ train"),
        (["run_p0_test.py", "--llm", "http://anna:geheim@h/v1"], "run_p0_test.py"),
        (["econ", "http://anna:geheim@h/v1"], "econ"),
        (["econ"], "econ"),
    ],
)
def test_no_login_of_the_command_line_is_written(tmp_path, monkeypatch, arguments, command):
    monkeypatch.setattr(sys, "argv", arguments)
    locks = FolderLocks([("--log-dir", tmp_path)])
    written = (tmp_path / HOLDER_FILE).read_text()
    locks.release()
    assert json.loads(written)["command"] == command
    assert "geheim" not in written


@pytest.mark.slow
@pytest.mark.parametrize("folder", ["logs_exp1", "models_exp1"])
def test_a_run_in_a_held_folder_is_one_line_and_leaves_its_files(run, small, other, tmp_path, folder):
    assert run(econ, "train", *small, "--train-eps", 2).code == 0
    before = (tmp_path / "logs_exp1" / "training.jsonl").read_bytes()
    process = other(tmp_path / folder)
    for more in ([], ["--resume"]):
        done = run(econ, "train", *small, "--train-eps", 2, *more)
        assert done.code == 2
        assert f"is in use by process {process.pid}" in done.err
        assert "Traceback" not in done.err
    assert (tmp_path / "logs_exp1" / "training.jsonl").read_bytes() == before
    assert not list((tmp_path / "logs_exp1").glob("previous-*"))
    process.kill()
    process.wait()
    assert run(econ, "train", *small, "--train-eps", 2).code == 0
    assert json.loads((tmp_path / "logs_exp1" / "summary.json").read_text())["complete"]
