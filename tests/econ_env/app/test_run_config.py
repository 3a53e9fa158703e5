from pathlib import Path

import pytest

from econ_env.app.run_config import load_run_config
from econ_env.errors import ConfigError

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"


def test_later_sources_win(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text("n_agents: 2\nbelief_dim: 32\nllm: {rpm: 60}\nbne: {max_iterations_infer: 4}\n")
    config = load_run_config(path, ["belief_dim=48", "llm.rpm=90"], {"llm.rpm": 120, "n_agents": None})
    assert (config.n_agents, config.belief_dim, config.llm.rpm, config.test_rounds) == (2, 48, 120, 4)


def test_a_data_set_named_on_the_command_line_is_never_replaced(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text("env_args: {hf_dataset_path: gsm8k, offline_dataset: bundled}\n")
    named = {"env_args.hf_dataset_path": "me/mine"}

    def fallback(*given):
        return load_run_config(path, *given).env_args.offline_dataset

    assert fallback() == "bundled"
    assert fallback([], {"env_args.hf_dataset_path": None}) == "bundled"
    assert fallback([], named) is None
    assert fallback(["env_args.hf_dataset_path=me/mine"]) is None
    assert fallback(["env_args.offline_dataset=bundled:2"], named) == "bundled:2"


def test_parts_reach_environment_and_learner():
    config = load_run_config(
        None, ["env_args.max_rounds=3", "llm.timeout=5", "sampling.temperature_max=1.5", "target_update_tau=0.5"]
    )
    env = config.env_config()
    assert (env.max_rounds, env.llm.timeout, env.sampling.temperature_max) == (3, 5.0, 1.5)
    assert config.agent_config().target_update_tau == 0.5


def test_bne_max_iterations_is_short_for_the_rounds_in_tests():
    assert load_run_config(None, ["bne_max_iterations=5"]).test_rounds == 5
    assert load_run_config(None, ["bne_max_iterations=5", "bne.max_iterations_infer=5"]).test_rounds == 5
    with pytest.raises(ConfigError, match="contradicts"):
        load_run_config(None, ["bne_max_iterations=5", "bne.max_iterations_infer=2"])


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("bne.max_iteration_infer=3", "did you mean 'bne.max_iterations_infer'"),
        ("n_agent=3", "did you mean 'n_agents'"),
        ("env_args.hf_dataset=x", "did you mean 'env_args.hf_dataset_path'"),
        ("sampling.p_maximum=1.2", "did you mean 'sampling.p_max'"),
        ("n_agents=many", "n_agents"),
        ("n_agents.x=1", "n_agents is a single value|n_agents"),
        ("n_agents", "key=value"),
        ("llm.rpm=[", "valid YAML"),
        ("executor_model=[a, b]", "2 executor models for 3"),
        ("n_agents=true", "n_agents: must be a number, not true or false"),
        ("bne.max_iterations_infer=yes", "must be a number"),
        ("llm.budget_usd=false", "must be a number"),
        ("early_stopping={enabled: true, reward_threshold: 0.5}", "together, or none"),
        ("sampling={p_min: 1.0, p_min: 1.1}", "duplicate key 'p_min', line 1"),
    ],
)
def test_what_is_wrong_is_one_clear_line(assignment, message):
    with pytest.raises(ConfigError, match=message) as caught:
        load_run_config(None, [assignment])
    assert "\n" not in str(caught.value)


def test_a_bare_off_in_yaml_is_the_strategy_off():
    assert load_run_config(None, ["env_args.strategy=off"]).env_args.strategy == "off"


@pytest.mark.parametrize(
    ("backend", "calls"),
    [("auto", 10), ("http://a/v1", 10), ("[http://a/v1, 'http://b/v1*2.5']", 35), ("http://a/v1*.01", 1)],
)
def test_more_servers_take_more_calls_and_as_many_problems(backend, calls):
    config = load_run_config(None, [f"llm.backend={backend}", "llm.concurrency=10"])
    assert config.llm.calls_in_flight == config.problems_in_flight == calls


def test_files_that_are_no_settings_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="can't be read"):
        load_run_config(tmp_path / "none.yaml")
    (tmp_path / "list.yaml").write_text("- 1\n")
    with pytest.raises(ConfigError, match="top level"):
        load_run_config(tmp_path / "list.yaml")
    (tmp_path / "broken.yaml").write_text("a: [1\n")
    with pytest.raises(ConfigError, match="valid YAML"):
        load_run_config(tmp_path / "broken.yaml")


def test_a_key_that_comes_twice_is_refused_with_its_line(tmp_path):
    path = tmp_path / "twice.yaml"
    path.write_text("n_agents: 3\nllm:\n  rpm: 5\nn_agents: 4\n")
    with pytest.raises(ConfigError, match=r"twice\.yaml is not valid YAML: duplicate key 'n_agents', line 4"):
        load_run_config(path)


def test_what_an_anchor_brings_in_may_be_overridden(tmp_path):
    path = tmp_path / "merged.yaml"
    path.write_text("llm: {<<: {rpm: 5, tpm: 6}, rpm: 7}\n")
    config = load_run_config(path)
    assert (config.llm.rpm, config.llm.tpm) == (7, 6)


@pytest.mark.parametrize("name", ["p0", "math", "svamp"])
def test_early_stopping_takes_one_key_in_the_shipped_configs(name):
    path = BENCHMARKS / f"config_{name}.yaml"
    assert not load_run_config(path).early_stopping.enabled
    stop = load_run_config(path, ["early_stopping.enabled=true"]).early_stopping
    assert (stop.enabled, stop.three_criteria, stop.patience, stop.warmup) == (True, False, 5, 20)
    three = ["commitment_threshold=0.01", "reward_threshold=0.7", "loss_threshold=0.0001", "enabled=true"]
    given = [f"early_stopping.{setting}" for setting in three]
    with pytest.raises(ConfigError, match=r"set bne\.max_iterations_train to 2 or more"):
        load_run_config(path, given)
    assert load_run_config(path, [*given, "bne.max_iterations_train=2"]).early_stopping.three_criteria


@pytest.mark.parametrize("path", sorted(BENCHMARKS.glob("config_*.yaml")), ids=lambda path: path.stem)
def test_shipped_configs_load(path):
    assert load_run_config(path).n_agents >= 1


def test_a_login_in_the_url_of_a_server_is_not_kept_in_the_settings():
    url = "http://robert:pw-geheim@host/v1"
    config = load_run_config(None, [f"llm.backend={url}"], {})
    assert config.llm.backend == "http://host/v1"
    assert "geheim" not in config.model_dump_json()
    with pytest.raises(ConfigError) as caught:
        load_run_config(None, [], {"llm.backend": f"{url}?x=1"})
    assert "geheim" not in str(caught.value)
