"""Every shared option reaches its setting, and everything that can be wrong is one clear line and exit code 2."""

import importlib.util
import json
import logging
import subprocess
import sys

import click
import pytest

from econ_env.app.entry import main, need
from econ_env.app.options import CommonOptions, common_options, settings_options
from econ_env.app.run_config import RunConfig, load_run_config
from econ_env.errors import ConfigError, EconError
from econ_env.testing.faulty_server import FaultyServer

SCRIPTS = [f"{kind}_{name}.py" for kind in ("test",) for name in ("p0", "math", "svamp")]
SCRIPTS += [f"run_{name}_test.py" for name in ("p0", "math", "svamp")]


@pytest.fixture
def parse(run, tmp_path):
    """What options come to."""
    seen: list[CommonOptions] = []

    @click.command()
    @common_options(None)
    def command(common: CommonOptions) -> None:
        seen.append(common)

    def parse(*arguments: object) -> CommonOptions:
        ran = run(command, *arguments)
        assert ran.code == 0, ran.err
        return seen.pop()

    return parse


def value_at(config: RunConfig, key: str) -> object:
    value: object = config
    for part in key.split("."):
        value = value.__getattribute__(part)
    return value


@pytest.mark.parametrize(
    ("arguments", "key", "value"),
    [
        (["--dataset", "svamp"], "env_args.hf_dataset_path", "svamp"),
        (["--split", "dev"], "env_args.dataset_split", "dev"),
        (["--test-split", "dev"], "env_args.test_split", "dev"),
        (["--question-field", "task"], "env_args.question_field_name", "task"),
        (["--answer-field", "result"], "env_args.answer_field_name", "result"),
        (["--context-field", "story"], "env_args.context_field_name", "story"),
        (["--context-field", ""], "env_args.context_field_name", ""),
        (["--choices-field", "options"], "env_args.choices_field_name", "options"),
        (["--llm", "http://127.0.0.1:8000/v1"], "llm.backend", "http://127.0.0.1:8000/v1"),
        (["--llm", "http://u:pw@a", "--llm", "http://b/v1*3"], "llm.backend", "http://a/v1,http://b/v1*3"),
        (["--set", "llm.backend=[http://a/v1, http://b/v1]"], "llm.backend", "http://a/v1,http://b/v1"),
        (["--coordinator-model", "big"], "coordinator_model", "big"),
        (["--executor-model", "small"], "executor_model", "small"),
        (["--executor-model", "a", "--executor-model", "b", "--executor-model", "c"], "executor_model", list("abc")),
        (["--embedder", "hash"], "embedder", "hash"),
        (["--device", "cpu"], "device", "cpu"),
        (["--set", "device=cpu"], "device", "cpu"),
        (["--n-agents", "5"], "n_agents", 5),
        (["--bne-rounds", "7"], "bne.max_iterations_infer", 7),
        (["--max-rounds", "2"], "env_args.max_rounds", 2),
        (["--seed", "9"], "seed", 9),
        (["--concurrency", "3"], "llm.concurrency", 3),
        (["--no-cache"], "llm.cache", False),
        (["--budget-tokens", "1000"], "llm.budget_tokens", 1000),
        (
            ["--budget-usd", "2", "--set", "llm.price_prompt=1", "--set", "llm.price_completion=1"],
            "llm.budget_usd",
            2.0,
        ),
        (["--train-envs", "4"], "num_envs", 4),
        (["--ray"], "ray.address", "local"),
        (["--ray", "--resume"], "ray.address", "local"),
        (["--ray", "10.0.0.1:6379"], "ray.address", "10.0.0.1:6379"),
        (["--ray-workers", "3"], "ray.workers", 3),
        (["--set", "sampling.temperature_max=1.7"], "sampling.temperature_max", 1.7),
    ],
)
def test_each_option_reaches_its_setting(parse, arguments, key, value):
    assert value_at(RunConfig(), key) != value
    assert value_at(parse(*arguments).config, key) == value


def test_options_that_are_no_settings(parse, tmp_path):
    common = parse("--log-dir", tmp_path / "l", "--model-dir", tmp_path / "m", "--resume", "--wandb", "project")
    assert (common.log_dir, common.model_dir) == (tmp_path / "l", tmp_path / "m")
    assert (common.resume, common.wandb) == (True, "project")
    assert not parse().resume


def test_options_win_over_assignments_and_these_over_the_file(parse, tmp_path):
    (tmp_path / "c.yaml").write_text("n_agents: 2\nseed: 2\nbelief_dim: 2\n")
    config = parse("--config", tmp_path / "c.yaml", "--set", "n_agents=4", "--set", "seed=4", "--seed", 6).config
    assert (config.belief_dim, config.n_agents, config.seed) == (2, 4, 6)


@pytest.mark.parametrize("script", [*SCRIPTS, "compare.py"])
def test_every_script_has_all_options(run, script):
    ran = run(script, "--help")
    assert ran.code == 0
    for flag in ("--config", "--set", "--dataset", "--split", "--question-field", "--answer-field", "--llm",
                 "--coordinator-model", "--executor-model", "--embedder", "--n-agents", "--bne-rounds", "--max-rounds",
                 "--seed", "--concurrency", "--no-cache", "--budget-tokens", "--budget-usd", "--resume", "--wandb",
                 "--train-envs", "--log-dir"):  # fmt: skip
        assert f"  {flag} " in ran.out, flag
    assert max(map(len, ran.out.splitlines())) <= 80
    assert ("  --ray " in ran.out) is (script != "compare.py")


# What is wrong -----------------------------------------------------------------------------------------------------


def assert_refused(ran, message):
    assert ran.code == 2
    assert message in ran.err
    assert "Traceback" not in ran.out + ran.err
    (line,) = [line for line in ran.err.splitlines() if line.startswith("error: ")]
    assert message in line


@pytest.mark.parametrize("script", ["test_p0.py", "run_svamp_test.py"])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--set", "n_agent=3"], "did you mean 'n_agents'?"),
        (["--set", "bne.max_iteration_infer=3"], "did you mean 'bne.max_iterations_infer'?"),
        (["--set", "llm.rpm=["], "not valid YAML"),
        (["--set", "gamma"], "needs key=value"),
        (["--set", "bne=3"], "bne: must hold keys and values (got 3)"),
        (["--set", "gamma=2"], "gamma: Input should be less than or equal to 1"),
        (["--config", "none.yaml"], "none.yaml can't be read: No such file"),
        (
            ["--llm", "http://a", "--llm", "simulated"],
            "llm.backend: a list must hold only URLs of servers with the same",
        ),
        (["--llm", "http://a,http://a/v1"], "the server http://a/v1 is listed twice"),
        (["--n-agents", "0"], "n_agents: Input should be greater than or equal to 1"),
        (["--n-agents", "many"], "'many' is not a valid integer"),
        (["--test-eps", "0"], "0 is not in the range x>=1"),
        (["--seed", "-1"], "seed: Input should be greater than or equal to 0"),
        (["--bne-rounds", "0"], "bne.max_iterations_infer"),
        (["--budget-usd", "1"], "llm: budget_usd needs price_prompt and price_completion"),
        (["--set", "sampling.p_min=0.5"], "sampling: p_min must be at least 1.0"),
        (["--executor-model", "a", "--executor-model", "b"], "2 executor models for 3 executors"),
        (["--dataset", "none.jsonl"], "none.jsonl"),
        (["--dataset", "bundled:9"], "no level9; it has: level1"),
        (["--dataset", "bundled:1", "--question-field", "task"], "not columns; leave out the field 'task'"),
        (["--dataset", "rows.jsonl", "--question-field", "task"], "no field 'task'; it has: question, answer"),
        (["--dataset", "rows.jsonl", "--answer-field", "result"], "no field 'result'; it has: question, answer"),
        (["--dataset", "other.jsonl"], "on the command line --question-field problem"),
        (["--dataset", "bundled:1", "--test-split", "dev"], "dev"),
        (["--dataset", "bundled:1", "--test-eps", "9999"], "not 9999"),
        (["--llm", "nowhere"], "nowhere"),
        (["--llm", "local:none.gguf"], "none.gguf"),
        (["--llm", "simulated", "--embedder", "/no/such/folder"], "/no/such/folder"),
        (["--log-dir", "a-file/logs"], "a-file/logs can't be used as log folder: Not a directory"),
        (["--wandb", "project"], "pip install wandb"),
        (["--frobnicate"], "No such option"),
        (["surplus"], "unexpected extra argument"),
    ],
)
def test_bad_input_is_one_clear_line(run, small, checkpoint, tmp_path, script, arguments, message):
    (tmp_path / "a-file").write_text("")
    (tmp_path / "rows.jsonl").write_text('{"question": "What is 1 + 1?", "answer": "2"}\n' * 20)
    (tmp_path / "other.jsonl").write_text('{"problem": "What is 1 + 1?", "answer": "2"}\n' * 20)
    model_dir = checkpoint if script == "test_p0.py" else tmp_path / "models"
    given = [*small, "--model-dir", model_dir, *arguments]
    assert_refused(run(script, *given), message)


@pytest.mark.parametrize("wrong", [["--llm", "nowhere"], ["--llm", "local:none.gguf"], ["--embedder", "/no/folder"]])
def test_what_can_not_be_had_does_not_push_an_earlier_run_aside(run, small, checkpoint, tmp_path, wrong):
    given = [*small, "--model-dir", checkpoint, "--test-eps", 1, "--log-dir", "logs"]
    assert run("test_p0.py", *given).code == 0
    before = (tmp_path / "logs" / "summary.json").read_bytes()
    assert run("test_p0.py", *given, *wrong).code == 2
    assert (tmp_path / "logs" / "summary.json").read_bytes() == before


def test_nor_is_an_earlier_comparison(run, small, tmp_path):
    given = [*small, "--methods", "single", "--match", "none", "--problems", 1, "--log-dir", "logs"]
    assert run("compare.py", *given).code == 0
    before = (tmp_path / "logs" / "summary.json").read_bytes()
    assert run("compare.py", *given, "--llm", "nowhere").code == 2
    assert (tmp_path / "logs" / "summary.json").read_bytes() == before


@pytest.mark.parametrize("wrong", ["missing", "damaged", "another team", "dead server"])
@pytest.mark.parametrize("script", ["test_p0.py", "compare.py"])
def test_nor_is_it_by_a_bad_policy_or_a_dead_server(run, small, checkpoint, tmp_path, script, wrong):
    option = "--model-dir" if script == "test_p0.py" else "--policy"
    compares = ["--problems", 1, "--methods", "no_bne", "--match", "none"]
    given = [*small, *(["--test-eps", 1] if script == "test_p0.py" else compares), "--log-dir", "logs"]
    assert run(script, *given, option, checkpoint).code == 0
    before = (tmp_path / "logs" / "summary.json").read_bytes()
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "config.json").write_text("{}")
    nobody = ["--llm", "http://127.0.0.1:9/v1", "--set", "llm.max_retries=0"]
    message, arguments = {
        "missing": ("no folder 'none'", [option, "./none"]),
        "damaged": ("is no checkpoint", [option, "./damaged"]),
        "another team": ("use the memory that it was", [option, checkpoint, "--set", "env_args.memory_length=7"]),
        "dead server": ("no connection to http://127.0.0.1:9/v1", [option, checkpoint, *nobody]),
    }[wrong]
    assert_refused(run(script, *given, *arguments), message)
    assert (tmp_path / "logs" / "summary.json").read_bytes() == before
    assert not list((tmp_path / "logs").glob("previous-*"))


@pytest.mark.parametrize("faults", [{"key": "secret"}, {"script": ["error_500"] * 9}], ids=["refuses", "fails"])
def test_a_server_that_will_not_list_its_models_is_there(run, small, checkpoint, faults):
    with FaultyServer(**faults) as server:
        given = [*small, "--model-dir", checkpoint, "--test-eps", 1, "--log-dir", "logs", "--no-cache"]
        assert run("test_p0.py", *given).code == 0
        ran = run("test_p0.py", *given, "--llm", server.url, "--set", "llm.max_retries=0")
        assert "was moved to" in " ".join(ran.out.split())


def test_commands_without_a_configuration_say_what_they_ask(run, small, caplog):
    caplog.set_level(logging.INFO, "econ_env")
    given = ["--llm", "simulated", "--methods", "single", "--match", "none", "--problems", 1]
    told = "no --dataset or --config: the problems are those of bundled"
    for arguments, says in ((given, True), ([*given, "--dataset", "bundled:1"], False), ([*given, *small], False)):
        caplog.clear()
        assert run("compare.py", *arguments).code == 0
        assert (told in caplog.messages) is says


def test_a_broken_config_file_is_one_clear_line(run, tmp_path):
    (tmp_path / "broken.yaml").write_text("a: [1\nb: 2\n")
    assert_refused(run("run_p0_test.py", "--config", "broken.yaml"), "broken.yaml is not valid YAML")
    (tmp_path / "latin.yaml").write_bytes(b"model: \xff\n")
    assert_refused(run("run_p0_test.py", "--config", "latin.yaml"), "latin.yaml")
    (tmp_path / "list.yaml").write_text("- 1\n")
    assert_refused(run("run_p0_test.py", "--config", "list.yaml"), "at its top level")


@pytest.mark.parametrize("script", ["test_p0.py", "run_p0_test.py"])
def test_a_dead_server_ends_the_run_with_its_address(run, small, checkpoint, tmp_path, script):
    model_dir = checkpoint if script == "test_p0.py" else tmp_path / "models"
    train = [] if script == "test_p0.py" else ["--train-eps", "6"]
    ran = run(script, *small, "--model-dir", model_dir, "--test-eps", 6, *train, "--llm", "http://127.0.0.1:9/v1",
              "--set", "llm.max_retries=0")  # fmt: skip
    assert_refused(ran, "problems failed one after another")
    assert "127.0.0.1:9" in ran.err


def test_a_missing_or_damaged_checkpoint_is_one_clear_line(run, small, checkpoint, tmp_path):
    assert_refused(run("test_p0.py", *small), "no folder 'models_exp1/final', and nothing of that name on the hub")
    (tmp_path / "empty").mkdir()
    assert_refused(run("test_p0.py", *small, "--model-dir", "./empty"), "holds no checkpoint")
    (tmp_path / "torn").mkdir()
    for file in checkpoint.iterdir():
        (tmp_path / "torn" / file.name).write_bytes(file.read_bytes())
    (tmp_path / "torn" / "model.safetensors").write_bytes(b"torn")
    assert_refused(run("test_p0.py", *small, "--model-dir", "./torn"), "incomplete or damaged")


def test_a_checkpoint_for_another_team_is_one_clear_line(run, small, checkpoint):
    given = [*small, "--model-dir", checkpoint, "--test-eps", 2]
    assert_refused(run("test_p0.py", *given, "--set", "env_args.memory_length=7"), "24 numbers of agent_memory, the")
    assert_refused(run("test_p0.py", *given, "--set", "sampling.temperature_max=1"), "controls in")


@pytest.mark.parametrize("script", [*SCRIPTS, "compare.py"])
def test_a_device_that_is_not_there_is_one_clear_line(run, small, script, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert_refused(run(script, *small, "--device", "cuda"), "there is no device cuda")
    assert_refused(run(script, *small, "--set", "device=cuda"), "there is no device cuda")
    assert_refused(run(script, *small, "--device", "tpu"), "'tpu' is not one of 'auto', 'cpu', 'cuda', 'mps'")


def test_the_device_of_each_part_is_written_and_shown_if_asked_for(run, small, checkpoint, tmp_path):
    given = [*small, "--model-dir", checkpoint, "--test-eps", 2, "--log-dir", "logs"]
    for asked in ([], ["--device", "cpu"]):
        ran = run("test_p0.py", *given, *asked)
        assert ran.code == 0, ran.err
        assert ("devices  embedder cpu, learner cpu" in ran.out) == bool(asked)
        written = json.loads((tmp_path / "logs" / "summary.json").read_text())["models"]["devices"]
        assert written == {"embedder": "cpu", "engine": None, "learner": "cpu"}


def test_a_run_may_go_on_on_another_device(run, small, checkpoint, tmp_path):
    given = [*small, "--model-dir", checkpoint, "--log-dir", "logs"]
    assert run("test_p0.py", *given, "--test-eps", 2).code == 0
    ran = run("test_p0.py", *given, "--test-eps", 3, "--resume", "--device", "cpu")
    assert ran.code == 0, ran.err


def test_workers_on_ray_use_the_processor_unless_told_otherwise():
    assert load_run_config(None).env_config().device == "auto"
    assert load_run_config(None, ["ray.workers=2"]).env_config().device == "cpu"
    assert load_run_config(None, ["ray.workers=2", "device=cuda"]).env_config().device == "cuda"


def test_an_embedder_of_another_width_is_one_clear_line(run, small, checkpoint, monkeypatch):
    from econ_env.embedding import HashEmbedder, TextEncoder, text_encoder

    monkeypatch.setitem(text_encoder._encoders, ("hash", "auto"), TextEncoder(HashEmbedder(32)))
    ran = run("test_p0.py", *small, "--model-dir", checkpoint, "--test-eps", 2)
    assert_refused(ran, "use the embedder that it was trained with")


# Errors --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (EconError("two\nlines"), 2, "error: two lines\n"),
        (OSError(28, "No space left on device", "/logs/x"), 2, "error: /logs/x: No space left on device; what was"),
        (KeyboardInterrupt(), 130, "error: stopped\n"),
        (click.Abort(), 130, "error: stopped\n"),
    ],
)
def test_errors_become_lines_and_exit_codes(run, error, code, message):
    @click.command()
    def command() -> None:
        raise error

    ran = run(command)
    assert ran.code == code
    assert ran.err.strip("\n").startswith(message.strip("\n"))


def test_an_interrupted_run_is_told_how_to_go_on(run):
    @click.command()
    @common_options(None)
    def command(common: CommonOptions) -> None:
        raise KeyboardInterrupt

    ran = run(command)
    assert (ran.code, ran.err) == (130, "error: stopped; finished work is kept, continue it with --resume\n")


def test_a_mistake_of_the_program_is_not_hidden(monkeypatch):
    @click.command()
    @settings_options(None)
    def command(config: RunConfig) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("sys.argv", ["x"])
    with pytest.raises(ZeroDivisionError):
        main(command)


def test_a_command_that_can_not_be_spread_says_so(run, caplog):
    @click.command()
    @settings_options(None)
    def command(config: RunConfig) -> None:
        assert config.ray.spreads

    ran = run(command, "--set", "ray.workers=2")
    assert ran.code == 0, ran.err
    assert "this command runs in one process: ray is not used" in caplog.text


def test_a_command_says_which_extra_it_lacks_before_any_work():
    need("report", "json")
    with pytest.raises(ConfigError, match=r"needs no_such_package and nor_this: pip install 'econ-bne\[report\]'"):
        need("report", "no_such_package", "json", "nor_this")


def test_a_comparison_without_its_packages_is_one_clear_line(run, small, tmp_path, monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "statsmodels" else found(name))
    ran = run("compare.py", *small, "--log-dir", tmp_path / "logs")
    assert ran.code == 2
    assert ran.err.splitlines() == ["error: this command needs statsmodels: pip install 'econ-bne[report]'"]
    assert not (tmp_path / "logs").exists()


def test_a_coroutine_that_ctrl_c_left_behind_is_not_spoken_of():
    """Ctrl-C may come after a coroutine was made and before it is awaited; Python would say so after the last line."""
    program = """
import click
from econ_env.app.entry import main
left = []
async def call(): ...
@click.command()
def command():
    left.append(call())
    raise KeyboardInterrupt
main(command)
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False)
    assert (ran.returncode, ran.stderr.splitlines()[-1]) == (130, "error: stopped")
