"""A checkpoint brings its team: embedder, memory, bounds, controls, and how it commits."""

import json
import logging
from pathlib import Path

import pytest
import torch

from econ_agents.errors import TeamError
from econ_agents.policy import EconPolicy
from econ_agents.team_spec import TeamSpec
from econ_env.app.ask.solver import QuestionTeam, known_problems
from econ_env.app.commands import compare_command
from econ_env.app.run_config import load_run_config, make_env
from econ_env.app.runs.trained_with import trained_with
from econ_env.embedding import HashEmbedder, make, text_encoder
from econ_env.errors import ConfigError, UnknownQuestionError
from econ_env.factory import parallel_env
from econ_env.llm import background
from econ_env.problems.load import load_problems
from econ_env.recorded import load_bank

PROBLEMS = load_problems("bundled:1", split="test", limit=3)
SIMULATED = ("llm.backend=simulated", "env_args.hf_dataset_path=bundled:1", "env_args.dataset_split=test")
TINY = (
    "belief_dim=8", "network={hidden_dim: 8, encoder_dim: 4, mixer_dim: 4, heads: 1, ffn_dim: 8}",
    "losses={candidates: 2, candidate_rows: 2}",
)  # fmt: skip
TEAMS = {
    "another embedder": ["embedder=hash-32"],
    "memory": ["env_args.memory_length=7"],
    "bounds": ["sampling.temperature_max=1.1", "sampling.p_max=1.3"],
    "other controls": ["sampling.controls=[temperature]", "n_agents=2"],
    "top_p": ["sampling.second_action=top_p"],
    "speak": ["sampling.controls=[speak]", "env_args.commitment=vote", "n_agents=4"],
    "weights": ["sampling.controls=[speak, weight]", "env_args.commitment=weighted", "reward.price=0.01"],
    "prices": ["sampling.controls=[speak]", "env_args.commitment=vote", "reward={price: 0.01, price_max: 0.1}"],
    "observations": ["observation.parts=[answer_numbers]", "env_args.strategy=off", "env_args.reply_format=text"],
    "clusters": ["n_agents=5", "env_args.cluster_size=3"],
    "decisions": ["env_args.max_rounds=2"],
    "logit responses": ["bne={response: logit, max_iterations_infer: 2}"],
}


@pytest.fixture
def saved(tmp_path):
    """Makes an untrained policy for a team with these settings, and saves it."""

    def make(settings, llm="simulated"):
        given = ["embedder=hash", f"llm.backend={llm}", "env_args.hf_dataset_path=bundled:1", *TINY, *settings]
        config = load_run_config(None, given if llm == "simulated" else [f"llm.backend={llm}", *TINY, *settings])
        torch.manual_seed(0)
        policy = EconPolicy(TeamSpec.of(make_env(config, PROBLEMS)), config.agent_config())
        policy.save_pretrained(tmp_path / "final")
        return tmp_path / "final"

    return make


def served(checkpoint, *settings):
    """The team that `econ serve --model-dir` makes from a checkpoint."""
    config = load_run_config(None, [*SIMULATED, *settings])
    solver = QuestionTeam(config, checkpoint, known_problems(config))
    solver.prepare()
    return solver


def answer(solver, question=PROBLEMS[0].question):
    return background.run(solver.solve(question, seed=0)).answer


@pytest.mark.parametrize("settings", TEAMS.values(), ids=TEAMS)
def test_a_checkpoint_alone_is_enough(saved, settings):
    checkpoint = saved(settings)
    solver = served(checkpoint)
    trained = load_run_config(None, ["embedder=hash", *settings])
    assert solver.config.sampling == trained.sampling
    assert solver.config.embedder == trained.embedder
    assert solver.config.n_agents == trained.n_agents
    kept = {"max_rounds", "hf_dataset_path", "dataset_split"}
    assert solver.config.env_args.model_dump(exclude=kept) == trained.env_args.model_dump(exclude=kept)
    assert solver.config.reward == trained.reward.model_copy(update={"price_max": None})
    assert solver.config.bne == trained.bne
    found = answer(solver)
    assert found.rounds[-1].commitment.answer is not None
    assert len(found.rounds[-1].replies) == trained.n_agents


@pytest.mark.parametrize("command", ["compare", "test_p0.py"])
def test_tests_and_comparisons_take_the_team_from_the_checkpoint_too(saved, run, small, command):
    checkpoint = saved([*TEAMS["prices"], "env_args.max_rounds=2"])
    given = [*small, "--set", "reward.price=0.03", "--log-dir", "logs"]
    if command == "compare":
        compared = ["--policy", checkpoint, "--problems", 2, "--methods", "majority,no_bne", "--match", "none"]
        ran = run(compare_command(None, None), *given, *compared)
    else:
        ran = run(command, *given, "--model-dir", checkpoint, "--test-eps", 2)
    assert ran.code == 0, ran.err
    settings = json.loads(Path("logs/summary.json").read_text())["config"]
    assert settings["sampling"]["controls"] == ["speak"]
    assert (settings["n_agents"], settings["env_args"]["max_rounds"]) == (3, 2)
    assert (settings["reward"]["price"], settings["reward"]["price_max"]) == (0.03, None)


def test_what_is_given_comes_before_the_checkpoint(saved):
    checkpoint = saved(["env_args.reply_max_tokens=99", "env_args.commitment=vote"])
    assert served(checkpoint).config.env_args.reply_max_tokens == 99
    solver = served(checkpoint, "env_args.reply_max_tokens=77")
    assert (solver.config.env_args.reply_max_tokens, solver.config.env_args.commitment) == (77, "vote")


def test_a_team_for_a_range_of_prices_asks_at_the_one_that_is_given_or_the_lowest(saved):
    checkpoint = saved(TEAMS["prices"])
    for given, price in (((), 0.01), (("reward.price=0.5",), 0.5)):
        solver = served(checkpoint, *given)
        answer(solver)
        assert (solver.config.reward.price, solver.config.reward.price_max) == (price, None)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (["embedder=hash-16"], "trained on 32 numbers of question, the environment has 16; use the embedder that"),
        (["env_args.memory_length=2"], "of agent_memory, the environment has 12; use the memory that"),
        (["sampling.temperature_max=0.9"], "controls in 0.1 to 1.5, 1 to 1.15, the environment has 0.1 to 0.9"),
        (["sampling.controls=[temperature]"], "the controls temperature, repetition_penalty, the environment has temp"),
    ],
)
def test_what_does_not_fit_is_named(saved, settings, says):
    checkpoint = saved(["embedder=hash-32"])
    with pytest.raises(TeamError) as caught:
        served(checkpoint, *settings)
    assert says in str(caught.value)


def changed(checkpoint, **values):
    """The checkpoint, whose file says something else of its environment."""
    file = checkpoint / "config.json"
    content = json.loads(file.read_text())
    content["team"]["made_with"] |= values
    file.write_text(json.dumps(content))
    return checkpoint


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"embedder": None, "embedder_name": "mine"}, "embedder mine, an object without a name: give it as --embedder"),
        ({"embedder": "evil:run"}, "embedder evil:run, and a file may not choose what is imported: if you trust it, "),
        ({"answer_rule": "evil:run"}, "answer rule evil:run, and a file may not choose .* give --set answer_rule=evil"),
        ({"answer_rule": "strict"}, "trained with the answer rule strict, which is missing: unknown answer rule"),
        ({"prompts": "evil:run"}, "prompt set evil:run, and a file may not choose what is imported"),
        ({"reward": {"terms": ["evil:run"]}}, "reward term evil:run, and a file may not .* --set reward.terms=evil"),
        ({"observation": {"parts": ["mood"]}}, "observation part mood, which is missing: unknown observation part"),
    ],
)  # fmt: skip
def test_a_part_that_is_missing_is_named_and_nothing_is_imported(saved, values, says):
    with pytest.raises(ConfigError, match=says):
        served(changed(saved([]), **values))


def test_an_embedder_that_is_not_installed_is_named(saved, monkeypatch):
    checkpoint = changed(saved([]), embedder="minilm", embedder_name="all-MiniLM-L6-v2")
    monkeypatch.setattr(make, "_packaged_path", lambda: None)
    monkeypatch.setattr(text_encoder, "_encoders", {})  # another test may have loaded it
    with pytest.raises(ConfigError, match=r"embedder all-MiniLM-L6-v2, which is missing: .* pip install 'econ-bne"):
        served(checkpoint)


def test_a_checkpoint_that_does_not_say_needs_the_settings(saved):
    checkpoint = saved(["env_args.memory_length=7"])
    file = checkpoint / "config.json"
    content = json.loads(file.read_text())
    del content["team"]["made_with"]
    file.write_text(json.dumps(content))
    with pytest.raises(TeamError, match="use the embedder"):
        served(checkpoint)
    assert answer(served(checkpoint, "embedder=hash", "env_args.memory_length=7")).rounds


def test_no_address_and_no_key_is_in_a_checkpoint(saved, tmp_path):
    env = parallel_env(list(PROBLEMS), llm="http://me:secret@models.example/v1", embedder=HashEmbedder(8))
    said = json.dumps(env.made_with)
    assert env.made_with["llm"] == "a server"
    assert (env.made_with["embedder"], env.made_with["embedder_name"]) == (None, "hash-8")
    assert "secret" not in said
    assert "example" not in said


def test_policies_of_a_recorded_team_are_served(saved, capsys):
    checkpoint = saved(["sampling.controls=[speak]"], llm="recorded:gsm8k-small7")
    solver = served(checkpoint)
    assert "trained  with --llm recorded:gsm8k-small7, now simulated" in capsys.readouterr().out
    assert solver.config.n_agents == 7
    assert solver.config.env_args.commitment == "vote"
    assert answer(solver).rounds[-1].commitment.answer is not None


def test_a_recorded_team_weighs_as_it_learned_to():
    with_bank = ["llm.backend=recorded:gsm8k-small7", "executor_model=[Qwen2-7B-Instruct, Yi-1.5-9B-Chat]"]
    trained = load_run_config(None, [*with_bank, "embedder=hash", *TINY, *TEAMS["weights"]])
    policy = EconPolicy(TeamSpec.of(make_env(trained, load_bank("gsm8k-small7").problems)), trained.agent_config())
    made_with = policy.spec.made_with
    config = trained_with(load_run_config(None, with_bank), made_with, policy.config, one_decision=True)
    assert (config.env_args.commitment, config.embedder) == ("weighted", "hash")


def test_a_recorded_team_answers_its_problems_alone(capsys):
    config = load_run_config(None, ["llm.backend=recorded:gsm8k-small7"])
    solver = QuestionTeam(config, None, known_problems(config))
    solver.prepare()
    solver.print_known()
    assert "answers  only its" in capsys.readouterr().out
    question = solver._known[5].question
    assert answer(solver, f"Please:\n{question}\nReply with the number.").rounds[-1].commitment.answer is not None
    with pytest.raises(UnknownQuestionError, match="this team is recorded and knows only"):
        answer(solver, "What is 2 + 2?")


def test_the_last_problem_in_a_request_is_the_question(saved):
    solver = served(saved([]))
    first, last = PROBLEMS[0].question, PROBLEMS[1].question
    asked = answer(solver, f"User: {first}\n\nAssistant: 3\n\nUser: {last} Reply with the number only.")
    assert asked.episode.problem.question == last
    assert asked.rounds[-1].commitment.answer == answer(solver, last).rounds[-1].commitment.answer


def test_a_simulated_team_says_what_it_can_answer(saved, capsys):
    served(saved([])).print_known()
    assert "answers  only its 50 problems, such as 'Emma reads" in capsys.readouterr().out


def test_an_automatic_choice_of_the_model_is_said_once(monkeypatch, caplog):
    monkeypatch.delenv("TOGETHER_API_KEY", raising=False)
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/said-once")
    with caplog.at_level(logging.INFO, "econ_env"):
        for _ in range(3):
            assert len(parallel_env(list(PROBLEMS), llm="auto", embedder="hash").team.executors) == 3
    said = [record.getMessage() for record in caplog.records if "llm=auto" in record.getMessage()]
    assert said == ["llm=auto: openai (the server's model) at http://127.0.0.1:9/said-once"]
