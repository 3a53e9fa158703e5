"""The scripts of `benchmarks/` from the command line to the files, and the keys of their configs."""

import inspect
import json
import os
import stat
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from econ_env.app.run_config import RunConfig, load_run_config
from econ_env.app.runs.folder import RunFolder

ROOT = Path(__file__).parents[3]
BENCHMARKS = ROOT / "benchmarks"

SPEC: dict[str, list[str]] = {
    "": [
        "n_agents",
        "coordinator_model",
        "executor_model",
        "update_interval",
        "bne_max_iterations",
        "belief_dim",
        "target_update_tau",
        "target_update_interval",
    ],
    "sampling": ["temperature_min", "temperature_max", "p_min", "p_max", "top_p_default"],
    "reward": ["initial_weights"],
    "bne": ["max_iterations_train", "max_iterations_infer", "convergence_threshold"],
    "early_stopping": ["enabled", "commitment_threshold", "reward_threshold", "loss_threshold", "patience", "warmup"],
    "env_args": [
        "hf_dataset_path",
        "dataset_split",
        "question_field_name",
        "answer_field_name",
        "max_question_length",
        "max_answer_length",
        "max_rounds",
    ],
}
"""The keys that the documented configuration names, by group."""
SPEC_KEYS = [f"{group}.{key}".lstrip(".") for group, keys in SPEC.items() for key in keys]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["p0", "math", "svamp"])
def test_a_checkpoint_is_tested_without_and_with_bne(run, small, checkpoint, tmp_path, name):
    ran = run(f"test_{name}.py", *small, "--model-dir", checkpoint, "--log-dir", "logs", "--test-eps", 3)
    assert ran.code == 0, ran.err
    summary = json.loads((tmp_path / "logs" / "summary.json").read_text())
    for method, file in (("baseline", f"logs_{name}_test_baseline.json"), ("bne", f"logs_{name}_test_p0.json")):
        episodes = json.loads((tmp_path / "logs" / file).read_text())
        assert len(episodes) == 3
        assert {episode["method"] for episode in episodes} == {method}
        part = summary["methods"][method]
        right = sum(episode["episode"]["decisions"][-1]["judgement"]["verdict"] == "correct" for episode in episodes)
        assert (part["n"], part["correct"]) == (3, right)
    lines = ran.out.splitlines()
    baseline, bne = (summary["methods"][key] for key in ("baseline", "bne"))
    assert f"Baseline (no BNE):    {baseline['correct']}/3 = {baseline['accuracy']:.1%}" in lines
    assert f"P0 BNE (3 rounds):    {bne['correct']}/3 = {bne['accuracy']:.1%}" in lines
    assert "P0 Metadata:          JSON=100%" in lines
    assert max(map(len, lines)) <= 80
    assert summary["complete"]
    assert summary["checkpoint"] == str(checkpoint)
    assert summary["train"] == {}


def test_a_checkpoint_is_looked_for_where_the_script_says(run, small):
    ran = run("test_p0.py", *small, "--test-eps", 1)
    assert ran.code == 2
    assert "models_exp1/final" in ran.err
    assert 'MODEL_DIR = "models_exp1/final"' in (BENCHMARKS / "test_p0.py").read_text()


def test_defaults_are_those_of_the_spec(run):
    assert "[default: 100; x>=0]" in run("run_p0_test.py", "--help").out
    assert "[default: 30; x>=1]" in run("run_p0_test.py", "--help").out
    for name in ("p0", "math", "svamp"):
        assert "[default: 10; x>=1]" in run(f"test_{name}.py", "--help").out


def test_pytest_never_collects_the_scripts():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]
    assert settings["testpaths"] == ["tests"]
    for script in BENCHMARKS.glob("*test*.py"):
        names = script.read_text().split()
        assert not any(name.startswith("test_") and name.endswith("(") for name in names), script


# Configs -----------------------------------------------------------------------------------------------------------


def flat(values: dict, prefix: str = "") -> dict:
    found = {}
    for key, value in values.items():
        found |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return found


@pytest.mark.parametrize("name", ["p0", "math", "svamp"])
def test_configs_have_every_key_of_the_spec(name):
    assert set(SPEC_KEYS) <= set(flat(yaml.safe_load((BENCHMARKS / f"config_{name}.yaml").read_text())))


@pytest.fixture
def reads(monkeypatch):
    """Notes which keys are read from now on."""
    from pydantic import BaseModel

    seen = set()
    names = {}
    for key in SPEC_KEYS:
        group, _, leaf = key.rpartition(".")
        owner = type(RunConfig().__getattribute__(group)) if group else RunConfig
        first = next(base for base in reversed(owner.__mro__) if leaf in inspect.get_annotations(base))
        names.setdefault(leaf, []).append((first, key))
    original = BaseModel.__getattribute__

    def noting(self, name):
        seen.update(key for owner, key in names.get(name, ()) if isinstance(self, owner))
        return original(self, name)

    monkeypatch.setattr(BaseModel, "__getattribute__", noting, raising=False)
    return seen


@pytest.mark.slow  # every attribute of every setting goes through a Python function
def test_every_key_of_the_spec_is_read_by_a_run(run, small, reads, tmp_path):
    ran = run("run_p0_test.py", *small, "--train-eps", 6, "--test-eps", 2, "--set", "early_stopping.enabled=true",
              "--set", "early_stopping.commitment_threshold=9", "--set", "early_stopping.reward_threshold=0",
              "--set", "early_stopping.loss_threshold=99", "--set", "bne.max_iterations_train=2")  # fmt: skip
    assert ran.code == 0, ran.err
    assert set(SPEC_KEYS) - reads == set()


@pytest.mark.parametrize(
    ("key", "value", "seen"),
    [
        ("belief_dim", 16, lambda run: run.policy.config.belief_dim),
        ("bne.max_iterations_train", 2, lambda run: run.policy.config.bne.max_iterations_train),
        ("target_update_tau", 0.5, lambda run: run.policy.config.target_update_tau),
        ("target_update_interval", 5, lambda run: run.policy.config.target_update_interval),
        ("sampling.p_max", 1.25, lambda run: run.policy.spec.action_high[1]),
        ("sampling.temperature_max", 1.5, lambda run: run.policy.spec.action_high[0]),
        ("n_agents", 2, lambda run: run.policy.spec.n_agents),
        ("reward.initial_weights", [0.2, 0.7, 0.1], lambda run: pytest.approx(run.policy.alpha.values(), abs=1e-5)),
    ],
)
def test_settings_shape_the_policy(small, key, value, seen, tmp_path):
    from types import SimpleNamespace

    from econ_agents.train import train
    from econ_env.app.run_config import make_env
    from econ_env.problems.load import load_problems

    config = load_run_config(Path(small[1]), [f"{key}={json.dumps(value)}"])
    problems = load_problems("bundled:1", limit=4)
    made = train(lambda: make_env(config, problems), config.agent_config(), episodes=0)
    assert value == seen(SimpleNamespace(policy=made.policy))


def test_the_paper_s_settings_are_the_paper_s():
    config = load_run_config(BENCHMARKS / "config_paper.yaml")
    network, optimizer, losses, stop = config.network, config.optimizer, config.losses, config.early_stopping
    assert (config.replay.capacity, config.batch_size, config.update_interval, config.gamma) == (32, 16, 8, 0.99)
    assert (optimizer.learning_rate, optimizer.coordinator_learning_rate) == (1e-3, 5e-4)
    assert (network.encoder_dim, config.belief_dim, network.heads, network.blocks) == (256, 128, 4, 2)
    assert network.encoder_dim // network.heads == 64
    assert (network.ffn_dim, network.dropout, config.target_update_tau) == (1024, 0.1, 0.01)
    assert config.reward.initial_weights == (0.4, 0.4, 0.2)
    assert (losses.similarity, losses.q_consistency, losses.encoder) == (0.1, 0.1, 0.1)
    assert (stop.commitment_threshold, stop.reward_threshold, stop.loss_threshold) == (0.01, 0.7, 1e-4)
    assert (stop.enabled, stop.patience, stop.warmup > 0) == (True, 5, True)
    assert (config.sampling.temperature_min, config.sampling.temperature_max) == (0.1, 2.0)


# run_econ.sh -------------------------------------------------------------------------------------------------------


@pytest.fixture
def econ_sh(tmp_path):
    """Runs `run_econ.sh` with a Python that tells its arguments and keys instead of training."""
    python = tmp_path / "python"
    python.write_text(
        f"#!{sys.executable}\nimport json, os, sys\n"
        "keys = {k: v for k, v in os.environ.items() if k.endswith('_API_KEY')}\n"
        "print(json.dumps([sys.argv[1:], keys, open('/proc/self/cmdline').read()]))\n"
    )
    python.chmod(python.stat().st_mode | stat.S_IXUSR)
    own = {"PATH": os.environ["PATH"], "PYTHON": str(python)}

    def run(*arguments, environment=None):
        return subprocess.run(
            ["bash", BENCHMARKS / "run_econ.sh", *map(str, arguments)],
            capture_output=True, text=True, cwd=tmp_path, env=own | (environment or {}), timeout=60, check=False,
        )  # fmt: skip

    return run


def test_run_econ_hands_its_flags_on(econ_sh):
    done = econ_sh("--api-key", "s3cret", "--config", "c.yaml", "--agents", 5, "--experiment-name", "llama-test",
                   "--seed", 3, "--wandb", "--train-eps", 7, "--dataset", "svamp", "--resume",
                   "--", "--set", "gamma=0.9")  # fmt: skip
    arguments, keys, command_line = json.loads(done.stdout)
    assert arguments == [
        "-m", "econ_agents.train", "--config", "c.yaml", "--log-dir", "logs_llama-test",
        "--model-dir", "models_llama-test", "--n-agents", "5", "--seed", "3", "--train-eps", "7",
        "--dataset", "svamp", "--resume", "--set", "gamma=0.9", "--wandb", "llama-test",
    ]  # fmt: skip
    assert keys == {"TOGETHER_API_KEY": "s3cret", "OPENAI_API_KEY": "s3cret"}
    assert "s3cret" not in command_line + done.stderr


def test_run_econ_gives_the_key_to_the_server_that_is_asked(econ_sh, tmp_path):
    (tmp_path / "key").write_text("from-file\n")
    done = econ_sh("--api-key-file", "key", "--llm", "http://127.0.0.1:1/v1", "--wandb", "mine")
    arguments, keys, _ = json.loads(done.stdout)
    assert keys == {"OPENAI_API_KEY": "from-file"}
    assert arguments[-2:] == ["--wandb", "mine"]
    assert arguments[3] == str(BENCHMARKS / "config_p0.yaml")


def test_run_econ_asks_the_server_of_the_environment_and_not_together(econ_sh):
    done = econ_sh("--api-key", "s3cret", environment={"OPENAI_BASE_URL": "http://127.0.0.1:1/v1"})
    assert json.loads(done.stdout)[1] == {"OPENAI_API_KEY": "s3cret"}
    done = econ_sh("--api-key", "s3cret", "--llm", "together", environment={"OPENAI_BASE_URL": "http://127.0.0.1:1/v1"})
    assert json.loads(done.stdout)[1]["TOGETHER_API_KEY"] == "s3cret"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--frob"], "unknown option --frob"),
        (["--agents"], "--agents needs a value"),
        (["--api-key-file", "none"], "key file none can't be read"),
        (["--experiment-name", "../x"], "takes letters"),
    ],
)
def test_run_econ_refuses_what_makes_no_sense(econ_sh, arguments, message):
    done = econ_sh(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_run_econ_says_that_there_is_no_python(tmp_path):
    done = subprocess.run(
        ["bash", BENCHMARKS / "run_econ.sh"], env={"PATH": os.environ["PATH"], "PYTHON": "/no/python"},
        capture_output=True, text=True, cwd=tmp_path, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: /no/python was not found; activate the environment")


@pytest.mark.slow
def test_the_training_module_finds_the_command(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "econ_agents.train", "--config", "none.yaml"],
        capture_output=True, text=True, cwd=tmp_path, timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr == "error: config file none.yaml can't be read: No such file or directory\n"


def test_without_a_command_the_training_module_says_what_is_missing(monkeypatch):
    from econ_agents import commands

    monkeypatch.setattr(commands, "GROUP", "econ_agents.nothing")
    with pytest.raises(SystemExit, match="pip install econ-bne"):
        commands.run_command("train")


def test_an_earlier_test_is_moved_aside(run, small, checkpoint, tmp_path):
    for _ in range(2):
        ran = run("test_p0.py", *small, "--model-dir", checkpoint, "--log-dir", "logs", "--test-eps", 1)
        assert ran.code == 0, ran.err
    assert "was moved to" in ran.out
    assert (tmp_path / "logs" / "previous-1" / "logs_p0_test_p0.json").exists()
    RunFolder(tmp_path / "logs", {"config": {}}, resume=False).close()
    assert not list((tmp_path / "logs").glob("logs_p0_test_*.json"))
