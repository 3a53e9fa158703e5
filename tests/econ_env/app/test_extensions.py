"""A package from outside adds one thing of each kind by entry point, and a run shows that each was used."""

from __future__ import annotations

import json
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from safetensors.torch import load_file

from econ_agents import plugins as agents_plugins
from econ_agents.policy import EconPolicy
from econ_agents.trial import Trial
from econ_env import plugins
from econ_env.app.compare.method_names import KIND as METHODS
from econ_env.llm import make as backends
from econ_env.plugins import Kind

EXAMPLES = Path(__file__).parents[3] / "benchmarks" / "examples"
PROJECT = tomllib.loads((EXAMPLES / "pyproject.toml").read_text())["project"]
ENTRY_POINTS: dict[str, dict[str, str]] = PROJECT["entry-points"]
VERSION = f"{PROJECT['name']} {PROJECT['version']}"
KINDS = {
    kind.group: kind
    for kind in (
        plugins.LLMS,
        plugins.DATASETS,
        plugins.ANSWER_RULES,
        plugins.EMBEDDERS,
        plugins.REWARD_TERMS,
        plugins.OBSERVATION_PARTS,
        plugins.PROMPT_SETS,
        METHODS,
    )
}

SETTINGS: dict[str, Any] = {
    "llm": {"backend": "abacus"},
    "env_args": {"hf_dataset_path": "sums"},
    "answer_rule": "whole_numbers",
    "embedder": "letters",
    "reward": {"terms": ["brevity"], "initial_weights": [0.1, 0.6, 0.1, 0.2]},
    "observation": {"parts": ["question_length"]},
    "prompts": "terse",
    "network": {"mixer": "weighted_mean"},
    "bne": {"solver": "fictitious_play", "stop_when_repeated": False, "convergence_threshold": 0.0},
    "alpha": {"learn": True, "learning_rate": 0.1},
}


@pytest.fixture
def installed(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The package of `benchmarks/examples` as if it was installed: its modules and what its metadata registers."""
    site = tmp_path_factory.mktemp("site")
    info = site / f"econ_examples-{PROJECT['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {PROJECT['name']}\nVersion: {PROJECT['version']}\n")
    lines = [f"[{group}]\n" + "\n".join(f"{k} = {v}" for k, v in own.items()) for group, own in ENTRY_POINTS.items()]
    (info / "entry_points.txt").write_text("\n".join(lines))
    monkeypatch.syspath_prepend(EXAMPLES)
    monkeypatch.syspath_prepend(site)
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] == "econ_examples"]:
        del sys.modules[name]
    agents_plugins.load_plugin.cache_clear()
    backends._added.cache_clear()


def merged(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    both = {**one, **other}
    return both | {key: merged(one[key], other[key]) for key in one.keys() & other.keys() if isinstance(one[key], dict)}


@pytest.fixture
def config(small: list[str], tmp_path: Path) -> Callable[..., list[str]]:
    """Arguments of a small run with these settings."""

    def write(settings: dict[str, Any]) -> list[str]:
        base = yaml.safe_load(Path(small[1]).read_text())
        path = tmp_path / "run.yaml"
        path.write_text(yaml.safe_dump(merged(base, settings)))
        return ["--config", str(path)]

    return write


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def by_path(settings: dict[str, Any]) -> dict[str, Any]:
    """The same settings with every name as `module:attribute`."""
    paths = {name: path for own in ENTRY_POINTS.values() for name, path in own.items()}

    def replaced(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: replaced(inner) for key, inner in value.items()}
        return [replaced(inner) for inner in value] if isinstance(value, list) else paths.get(value, value)

    return replaced(settings)


def test_the_package_adds_one_of_each_kind():
    assert set(ENTRY_POINTS) == {*KINDS, agents_plugins.MIXERS, agents_plugins.SOLVERS}
    assert all(len(own) == 1 for own in ENTRY_POINTS.values())


@pytest.mark.usefixtures("installed")
def test_each_is_found_by_its_name_and_tells_its_version():
    for group, own in ENTRY_POINTS.items():
        kind = KINDS.get(group, Kind("thing", group))
        ((name, path),) = own.items()
        assert plugins.check_name(kind, name) == name
        assert plugins.origin(kind, name) == VERSION
        assert plugins.load(kind, name) is plugins.load(kind, path)
        assert plugins.origin(kind, path) is None


@pytest.mark.usefixtures("installed")
def test_a_run_uses_all_of_them_by_name(run, config, tmp_path, monkeypatch):
    from econ_examples.backend import Abacus
    from econ_examples.prompts import Terse
    from econ_examples.reward_term import Brevity
    from econ_examples.solver import FictitiousPlay

    asked, responses = [], []
    complete, respond = Abacus.complete, FictitiousPlay.respond
    monkeypatch.setattr(Abacus, "complete", lambda self, request: asked.append(request) or complete(self, request))
    monkeypatch.setattr(
        FictitiousPlay, "respond", lambda self, game, *more: responses.append(1) or respond(self, game, *more)
    )
    arguments = [*config(SETTINGS), "--log-dir", "logs", "--model-dir", "models"]
    ran = run("run_p0_test.py", *arguments, "--train-eps", 8, "--test-eps", 3)
    assert ran.code == 0, ran.err
    logs = tmp_path / "logs"
    summary = json.loads((logs / "summary.json").read_text())

    used = {group: dict.fromkeys(own, VERSION) for group, own in ENTRY_POINTS.items() if group != METHODS.group}
    assert summary["added"] == used
    assert summary["config"]["network"]["mixer"] == "weighted_mean"
    assert {summary["models"][role]["backend"] for role in ("coordinator", "executor")} == {"abacus"}
    assert summary["models"]["embedder"] == "letters-36"
    assert summary["dataset"] == "sums"
    assert summary["versions"]["answer_rule"] == "whole-numbers-v1"
    assert summary["versions"]["prompts"] == "terse-v1"

    rows = rows_of(logs / "results.jsonl")
    assert {row["source"] for row in rows} == {"sums"}
    assert {row["rule"] for row in rows} == {"whole-numbers-v1"}
    assert {row["verdict"] for row in rows} <= {"correct", "wrong"}
    opening = {request.role: request.messages[0].content for request in asked}
    terse = Terse()
    assert opening == {
        "strategy": terse.strategy("", 50)[0].content,
        "executor": terse.executor("", None, None, "text")[0].content,
        "commitment": terse.commitment("", [], "text")[0].content,
    }
    assert len(responses) == 2 * 3  # three problems with three rounds, between which there are two responses

    for episode in rows_of(logs / "episodes.jsonl"):
        (decision,) = episode["episode"]["decisions"]
        assert len(decision["weights"]) == 4
        for reply, paid in zip(decision["rounds"][-1]["replies"], decision["rewards"], strict=True):
            words = len(reply["text"].split())
            assert paid["further"] == {"brevity": 40.0 / (40.0 + words)}
            parts = [paid[term] for term in ("al", "ts", "cc")] + [paid["further"]["brevity"]]
            total = sum(weight * part for weight, part in zip(decision["weights"], parts, strict=True))
            assert paid["total"] == pytest.approx(total)
        mean = sum(paid["further"]["brevity"] for paid in decision["rewards"]) / 3
        assert decision["team_reward"]["further"]["brevity"] == pytest.approx(mean)
    assert Brevity.name == "brevity"

    kept = json.loads((tmp_path / "models" / "final" / "config.json").read_text())
    tensors = load_file(tmp_path / "models" / "final" / kept["weights"])
    assert kept["agent_config"]["network"]["mixer"] == "weighted_mean"
    assert "network.mixer.inner.weigh.weight" in tensors
    assert kept["team"]["reward_terms"] == ["al", "ts", "cc", "brevity"]
    assert kept["team"]["layout"][-1][0] == "question_length"
    policy = EconPolicy.from_pretrained(tmp_path / "models" / "final")
    assert sum(policy.alpha.values()) == pytest.approx(1.0)
    assert policy.alpha.values() != pytest.approx(SETTINGS["reward"]["initial_weights"], abs=1e-3)

    again = ["--model-dir", "models/final", "--log-dir", "again", "--test-eps", 2]
    ran = run("test_p0.py", *arguments[:2], *again)
    assert ran.code == 0, ran.err
    ran = run("test_p0.py", *arguments[:2], *again, "--set", "reward.terms=[]",
              "--set", "reward.initial_weights=[0.1, 0.8, 0.1]")  # fmt: skip
    assert ran.code == 2
    assert "trained with the reward terms al, ts, cc, brevity, the environment has al, ts, cc" in ran.err


@pytest.mark.slow
@pytest.mark.usefixtures("installed")
def test_a_run_uses_all_of_them_by_module_and_attribute(run, config, tmp_path):
    arguments = [*config(by_path(SETTINGS)), "--log-dir", "logs", "--model-dir", "models"]
    ran = run("run_p0_test.py", *arguments, "--train-eps", 4, "--test-eps", 2)
    assert ran.code == 0, ran.err
    summary = json.loads((tmp_path / "logs" / "summary.json").read_text())
    paths = {group: dict.fromkeys(own.values()) for group, own in ENTRY_POINTS.items() if group != METHODS.group}
    assert summary["added"] == paths
    assert summary["models"]["embedder"] == "letters-36"
    (again,) = (rows_of(tmp_path / "logs" / "results.jsonl")[-1]["source"],)
    assert again == "econ_examples.dataset:sums"
    ran = run("test_p0.py", *arguments[:2], "--model-dir", "models/final", "--log-dir", "again", "--test-eps", 2)
    assert ran.code == 0, ran.err
    ran = run("test_p0.py", *arguments[:2], "--model-dir", "models/final", "--log-dir", "again", "--test-eps", 2,
              "--set", "network.mixer=attention")  # fmt: skip
    assert ran.code == 2
    assert "trained with econ_examples.mixer:WeightedMean, and a file may not choose what is imported" in ran.err


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("name", ["ask_twice", "econ_examples.method:AskTwice"])
def test_a_comparison_uses_a_method(run, config, tmp_path, name):
    arguments = [*config(SETTINGS), "--methods", f"sc@3,{name}", "--match", "none", "--problems", 4]
    ran = run("compare.py", *arguments, "--log-dir", "logs")
    assert ran.code == 0, ran.err
    rows = rows_of(tmp_path / "logs" / "results.jsonl")
    assert {row["method"] for row in rows} == {"sc@3", name}
    assert all(len(row["replies"]) == 2 for row in rows if row["method"] == name)
    assert {row["rule"] for row in rows} == {"whole-numbers-v1"}
    added = json.loads((tmp_path / "logs" / "summary.json").read_text())["added"]
    assert added["econ_env.methods"] == {name: VERSION if name == "ask_twice" else None}
    from econ_env.app.report.runs import load_runs

    assert set(load_runs([tmp_path / "logs"]).methods) == {"sc@3", name}


@pytest.mark.usefixtures("installed")
def test_the_simulated_model_reads_other_prompts(run, config, tmp_path):
    ran = run("run_p0_test.py", *config({"prompts": "terse"}), "--train-eps", 2, "--test-eps", 4, "--log-dir", "logs")
    assert ran.code == 0, ran.err
    rows = rows_of(tmp_path / "logs" / "results.jsonl")
    assert "failed" not in {row["verdict"] for row in rows}


MISSPELT = [
    ("llm.backend=abacsu", "abacus"),
    ("env_args.hf_dataset_path=sumss", "sums"),
    ("answer_rule=whole_number", "whole_numbers"),
    ("reward.terms=[brevty]", "brevity"),
    ("observation.parts=[question_lenth]", "question_length"),
    ("prompts=ters", "terse"),
    ("network.mixer=weighted_men", "weighted_mean"),
    ("bne.solver=fictitous_play", "fictitious_play"),
]


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(("setting", "meant"), MISSPELT)
def test_a_misspelt_name_is_refused_with_the_nearest(run, small, setting, meant):
    ran = run("run_p0_test.py", *small, "--set", setting, "--train-eps", 1, "--test-eps", 1)
    assert ran.code == 2
    assert f"id you mean '{meant}'?" in ran.err
    assert len(ran.err.strip().splitlines()) == 1


@pytest.mark.parametrize("key", [setting.partition("=")[0] for setting, _ in MISSPELT] + ["embedder"])
@pytest.mark.parametrize("path", ["no_such_module:Thing", "json:no_such_thing", "econ_env.records:Problem"])
def test_what_can_not_be_had_is_said_in_a_line(run, small, key, path):
    several = key in ("reward.terms", "observation.parts")
    ran = run("run_p0_test.py", *small, "--set", f"{key}={[path] if several else path}", "--train-eps", 1,
              "--test-eps", 1)  # fmt: skip
    assert ran.code == 2
    assert len(ran.err.strip().splitlines()) == 1
    assert path.rpartition(":")[2] in ran.err or "no_such_module" in ran.err
    assert "Traceback" not in ran.out + ran.err


@pytest.mark.usefixtures("installed")
def test_a_module_where_the_command_is_called_is_found(run, small, tmp_path):
    (tmp_path / "mine_of_here.py").write_text(
        "class Half:\n    name = 'half'\n    def value(self, submission, agent):\n        return 0.5\n"
    )
    ran = run("run_p0_test.py", *small, "--set", "reward.terms=['mine_of_here:Half']",
              "--set", "reward.initial_weights=[0.1, 0.5, 0.1, 0.3]", "--train-eps", 1, "--test-eps", 1)  # fmt: skip
    assert ran.code == 0, ran.err


def test_a_term_that_leaves_its_range_ends_the_run_in_a_line(run, small, tmp_path):
    (tmp_path / "too_much_of_it.py").write_text(
        "class Double:\n    name = 'double'\n    def value(self, submission, agent):\n        return 2.0\n"
    )
    ran = run("run_p0_test.py", *small, "--set", "reward.terms=['too_much_of_it:Double']",
              "--set", "reward.initial_weights=[0.1, 0.5, 0.1, 0.3]", "--train-eps", 1, "--test-eps", 1)  # fmt: skip
    assert ran.code == 2
    assert "the reward term 'double' must be a number in [0, 1], got 2.0" in ran.err


@pytest.mark.usefixtures("installed")
def test_each_is_taken_as_an_object(monkeypatch):
    from econ_examples.answer_rule import WholeNumbers
    from econ_examples.backend import Abacus
    from econ_examples.dataset import sums
    from econ_examples.embedder import Letters
    from econ_examples.method import AskTwice
    from econ_examples.mixer import WeightedMean
    from econ_examples.observation_part import QuestionLength
    from econ_examples.prompts import Terse
    from econ_examples.reward_term import Brevity
    from econ_examples.solver import FictitiousPlay

    import econ_env
    from econ_agents.config import parse_config
    from econ_agents.evaluate import evaluate
    from econ_agents.train import train
    from econ_env.config import LLMConfig
    from econ_env.llm import background
    from econ_env.methods import judged
    from econ_env.wrappers import NormalizedActions

    llm, responses = Abacus(LLMConfig(), "mine"), []
    respond = FictitiousPlay.respond
    monkeypatch.setattr(
        FictitiousPlay, "respond", lambda self, game, *more: responses.append(1) or respond(self, game, *more)
    )
    made = []

    def make():
        made.append(
            econ_env.parallel_env(
                sums(),
                split="train",
                llm=llm,
                embedder=Letters(),
                answer_rule=WholeNumbers(),
                prompts=Terse(),
                reward_terms=[Brevity()],
                observation_parts=[QuestionLength()],
                reward_weights=(0.1, 0.6, 0.1, 0.2),
            )
        )
        return made[-1]

    small = {"hidden_dim": 8, "encoder_dim": 4, "mixer_dim": 4, "heads": 1, "ffn_dim": 8, "mixer": WeightedMean}
    bne = {"max_iterations_train": 2, "convergence_threshold": 0.0}
    config = parse_config({"belief_dim": 8, "num_envs": 2, "update_interval": 2, "network": small, "bne": bne})
    solver = config.bne.model_copy(update={"solver": FictitiousPlay(), "stop_when_repeated": False})
    policy = train(make, config, episodes=4, equilibrium=solver).policy
    assert policy.spec.reward_terms == ("al", "ts", "cc", "brevity")
    assert isinstance(policy.network.mixer.inner, WeightedMean)
    assert len(responses) > 0
    responses.clear()
    (result,) = evaluate(Trial(policy, rounds=3, config=solver), make, [0])
    assert len(result.decisions[0].numbers["reward_parts"][0]) == 4
    assert len(responses) == 2
    env = made[-1]
    assert env.episode.problem.question.startswith("What is ")
    assert env.episode.decisions[0].judgement.rule == "whole-numbers-v1"
    assert "question_length" in env.observation_layout
    assert env.encoder.embedder.name == "letters-36"
    assert env.team.models == ("mine",)
    wrapped = NormalizedActions(env)
    assert (wrapped.reward_terms, wrapped.reward_weights) == (env.reward_terms, env.reward_weights)
    answer = background.run(AskTwice(env.team).answer(env.problems[0], 1))
    assert background.run(judged(answer, env.answer_rule)).episode.decisions[0].judgement.rule == "whole-numbers-v1"


@pytest.mark.usefixtures("installed")
def test_a_question_is_solved_with_all_of_them(run, config):
    from econ_env.app.cli import econ

    ran = run(econ, "solve", "What is 12 + 34?", "--gold", "46", *config(SETTINGS), "--seed", 3)
    assert ran.code == 0, ran.err
    assert "abacus" in ran.out
    assert "letters-36" in ran.out
    assert "the gold answer is 46" in ran.out
