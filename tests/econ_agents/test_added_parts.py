"""Mixers and solvers by others: by name and as objects, in training, refinement and checkpoints; and their checks."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from teams import make_network, make_spec, observations, replayed, small
from torch import Tensor, nn
from torch.nn import functional as F

from econ_agents import plugins
from econ_agents.algorithm import EconAlgorithm
from econ_agents.config import parse_config
from econ_agents.equilibrium import EquilibriumConfig, Refiner, refine
from econ_agents.errors import CheckpointError, ConfigError, TeamError
from econ_agents.evaluate import evaluate
from econ_agents.networks.alpha import RewardWeights
from econ_agents.networks.mixer import Mixer, MixerShape
from econ_agents.policy import EconPolicy
from econ_agents.responses import respond
from econ_agents.team_spec import REWARD_TERMS, TeamSpec
from econ_agents.testing import (
    AsyncQuadraticEnv,
    CoordinationEnv,
    MatchingPennies,
    QuadraticEnv,
    QuadraticGame,
    QuadraticPolicy,
    check_mixer,
    check_solver,
)
from econ_agents.train import train
from econ_agents.trial import Trial

torch.set_num_threads(1)
HERE = __name__


class Weighted(nn.Module):
    """Weights that are positive whatever the parameters are."""

    def __init__(self, shape: MixerShape) -> None:
        super().__init__()
        self.weigh = nn.Linear(shape.action_dim, 1)
        self.offset = nn.Linear(shape.group_dim, 1)

    def forward(self, q_BN: Tensor, act_BNA: Tensor, group_BE: Tensor) -> Tensor:
        weight_BN = F.softplus(self.weigh(act_BNA)).squeeze(-1)
        return (weight_BN * q_BN).sum(1) + self.offset(group_BE).squeeze(-1)


class Average:
    """Plays the running mean of best responses."""

    calls = 0

    def respond(self, game, trajectory, config):
        type(self).calls += 1
        return torch.lerp(trajectory[-1], respond(game, trajectory[-1], config), 1.0 / (len(trajectory) + 1))


def outdated(shape: MixerShape) -> nn.Module:
    return shape.no_such_size  # type: ignore[attr-defined]


def no_module(shape: MixerShape) -> Any:
    return lambda *inputs: inputs[0].sum(1)


@pytest.fixture
def register(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str, str], None]:
    def add(group: str, name: str, value: str) -> None:
        info = tmp_path / name / f"{name}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[{group}]\n{name} = {value}\n")
        monkeypatch.syspath_prepend(tmp_path / name)
        plugins.load_plugin.cache_clear()

    return add


# Names -------------------------------------------------------------------------------------------------------------


def test_a_class_is_kept_by_its_path() -> None:
    assert parse_config({"network": {"mixer": Weighted}}).network.mixer == f"{HERE}:Weighted"
    with pytest.raises(ConfigError, match=r"<lambda> can't be imported by its name; define it at the top level"):
        parse_config({"network": {"mixer": lambda shape: None}})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"network": {"mixer": "attentionn"}}, "unknown mixer 'attentionn'; did you mean 'attention'"),
        ({"bne": {"solver": "zzz"}}, "unknown solver 'zzz'; use simultaneous or module:attribute"),
        ({"network": {"mixer": 3}}, "network.mixer"),
    ],
)
def test_unknown_names_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_config(values)


def test_true_and_false_stand_for_the_mixers_of_this_package() -> None:
    assert parse_config({"network": {"mixer": True}}).network.mixer == "attention"
    assert parse_config({"network": {"mixer": False}}).network.mixer == "mean"
    assert isinstance(make_network(network={"mixer": "mean"}).mixer, Mixer)
    assert not make_network(network={"mixer": "mean"}).mixer.learned


def test_two_packages_with_one_name_are_told(register: Callable[[str, str, str], None], tmp_path: Path) -> None:
    register(plugins.MIXERS, "weighty", f"{HERE}:Weighted")
    assert plugins.load_plugin(plugins.MIXERS, "weighty") is Weighted
    (tmp_path / "weighty" / "other-1.0.dist-info").mkdir()
    (tmp_path / "weighty" / "other-1.0.dist-info" / "METADATA").write_text("Name: other\nVersion: 1.0\n")
    (tmp_path / "weighty" / "other-1.0.dist-info" / "entry_points.txt").write_text(
        f"[{plugins.MIXERS}]\nweighty = {HERE}:outdated\n"
    )
    register(plugins.SOLVERS, "another", f"{HERE}:Average")  # makes the folders be read again
    with pytest.raises(ConfigError, match="several packages register the mixer 'weighty'; use one of"):
        plugins.load_plugin(plugins.MIXERS, "weighty")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no_such_module:Thing", "mixer no_such_module:Thing can't be imported: ModuleNotFoundError"),
        (f"{HERE}:nothing", "has no attribute 'nothing'"),
        (f"{HERE}:outdated", "outdated can't be created: AttributeError: .*no_such_size"),
        (f"{HERE}:no_module", "must make a torch.nn.Module, not function"),
    ],
)
def test_a_mixer_that_can_not_be_had_is_told(name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make_network(network={"mixer": name})


@pytest.mark.parametrize(
    ("solver", "message"),
    [
        ("no_such_module:Thing", "solver no_such_module:Thing can't be imported: ModuleNotFoundError"),
        ("json:dumps", r"solver json:dumps: function has no respond\(game, trajectory, config\)"),
        ("econ_agents.team_spec:TeamSpec", "solver econ_agents.team_spec:TeamSpec can't be created: TypeError"),
        ("simultaneou", "did you mean 'simultaneous'"),
    ],
)
def test_a_solver_that_can_not_be_had_is_told(solver: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Refiner(torch.zeros(1, 2, 1), EquilibriumConfig(solver=solver), 3)


# Mixers ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_agents", [1, 3, 6])
def test_a_mixer_takes_the_place_of_the_attention_mixer(n_agents: int) -> None:
    spec = make_spec(n_agents)
    net = make_network(spec, network={"mixer": Weighted})
    assert {name for name, _ in net.mixer.named_parameters()} == {
        "inner.weigh.weight", "inner.weigh.bias", "inner.offset.weight", "inner.offset.bias",
    }  # fmt: skip
    obs_BND = observations(spec, 4)
    belief_BNH = net.belief(obs_BND)
    act_BNA = net.controls(obs_BND)
    values = net.values(belief_BNH, act_BNA, pessimistic=False)
    inner = net.mixer.inner(values.local_CBN.mean(0), act_BNA, values.group.group_BE)
    assert torch.equal(values.total_B, inner)
    assert values.features_BNW is None


@pytest.mark.slow
def test_the_learner_trains_a_mixer_and_leaves_out_what_needs_features() -> None:
    policy = EconPolicy(make_spec(6), small(network={"mixer": Weighted}))
    algorithm = EconAlgorithm(policy)
    before = {name: tensor.clone() for name, tensor in policy.network.mixer.state_dict().items()}
    stats = algorithm._update_with_batch(replayed(policy.spec))
    assert stats.similarity is None
    assert stats.td_total is not None
    assert all(not torch.equal(before[name], now) for name, now in policy.network.mixer.state_dict().items())


@pytest.mark.slow
def test_training_with_a_mixer_of_a_name(register: Callable[[str, str, str], None], tmp_path: Path) -> None:
    register(plugins.MIXERS, "weighty", f"{HERE}:Weighted")
    config = small(network={"mixer": "weighty"})
    made = train(CoordinationEnv, config, episodes=8, model_dir=tmp_path / "models")
    kept = json.loads((tmp_path / "models" / "final" / "config.json").read_text())
    assert kept["agent_config"]["network"]["mixer"] == "weighty"
    again = EconPolicy.from_pretrained(tmp_path / "models" / "final")  # a registered name needs no trust
    obs_BND = torch.zeros(2, 3, made.policy.spec.obs_dim)
    assert torch.equal(again.propose(obs_BND), made.policy.propose(obs_BND))
    assert torch.equal(again.network(obs_BND).total_B, made.policy.network(obs_BND).total_B)


def test_a_checkpoint_can_not_choose_what_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    EconPolicy(make_spec(), small(network={"mixer": Weighted})).save_pretrained(tmp_path)
    name = f"{HERE}:Weighted"
    loaded: list[str] = []
    real = plugins.load_plugin
    monkeypatch.setattr(plugins, "load_plugin", lambda group, name: loaded.append(name) or real(group, name))
    with pytest.raises(CheckpointError, match=rf"trained with {name}, and a file may not choose what is imported"):
        EconPolicy.from_pretrained(tmp_path)
    assert loaded == []
    assert EconPolicy.from_pretrained(tmp_path, trust=[name]).config.network.mixer == name
    assert loaded == [name]
    file = tmp_path / "config.json"
    file.write_text(file.read_text().replace(name, "os:abort"))
    with pytest.raises(CheckpointError, match="trained with os:abort"):
        EconPolicy.from_pretrained(tmp_path, trust=[name])


def test_a_checkpoint_can_not_choose_a_solver_to_import_either(tmp_path: Path) -> None:
    EconPolicy(make_spec(), small(bne={"solver": "os:abort"})).save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match=r"trained with os:abort, .* or set network.mixer or bne.solver to it"):
        EconPolicy.from_pretrained(tmp_path)


def test_a_checkpoint_whose_mixer_is_not_installed_says_so(
    register: Callable[[str, str, str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(plugins.MIXERS, "weighty", f"{HERE}:Weighted")
    EconPolicy(make_spec(), small(network={"mixer": "weighty"})).save_pretrained(tmp_path / "policy")
    monkeypatch.undo()
    plugins.load_plugin.cache_clear()
    with pytest.raises(CheckpointError, match="unknown mixer 'weighty'"):
        EconPolicy.from_pretrained(tmp_path / "policy")


def test_a_mixer_of_another_shape_is_told() -> None:
    net = make_network(network={"mixer": f"{HERE}:Columns"})
    with pytest.raises(TeamError, match=r"a value per row, \(4,\), got \(4, 1\)"):
        net(observations(make_spec(), 4))


# Solvers -----------------------------------------------------------------------------------------------------------


def test_a_solver_leaves_a_cycle_in_which_best_responses_run() -> None:
    start_BNA = torch.tensor([[[0.7], [0.2]]], dtype=torch.float64)
    config = EquilibriumConfig(convergence_threshold=0.0, oscillation_window=0)
    plain = refine(MatchingPennies(), start_BNA, config, rounds=300)
    averaged = refine(MatchingPennies(), start_BNA, config.model_copy(update={"solver": Average()}), rounds=300)
    assert plain.profile_BNA.abs().min() == 1.0
    assert averaged.profile_BNA.abs().max() < 0.15
    assert averaged.after.nash_conv_B < 0.2 * averaged.before.nash_conv_B


@pytest.mark.parametrize("solver", [Average, Average(), f"{HERE}:Average"])
def test_a_solver_is_taken_by_name_as_object_and_as_class(solver: Any) -> None:
    Average.calls = 0
    refine(QuadraticGame(torch.zeros(1, 2, 1), 0.3), torch.ones(1, 2, 1), EquilibriumConfig(solver=solver))
    assert Average.calls > 0


def test_training_and_evaluation_refine_by_the_solver_of_their_settings(
    register: Callable[[str, str, str], None],
) -> None:
    register(plugins.SOLVERS, "averaging", f"{HERE}:Average")
    config = small(bne={"solver": "averaging", "max_iterations_train": 3, "convergence_threshold": 0.0})
    assert config.bne.solver == "averaging"
    Average.calls = 0
    policy = train(lambda: QuadraticEnv(horizon=1), config, episodes=4).policy
    assert Average.calls > 0
    Average.calls = 0
    evaluate(Trial(policy, rounds=3, config=config.bne), AsyncQuadraticEnv, [0, 1])
    assert Average.calls > 0
    Average.calls = 0
    evaluate(Trial(QuadraticPolicy(coupling=0.3, start=0.4), rounds=3), AsyncQuadraticEnv, [0])
    assert Average.calls == 0


@pytest.mark.parametrize("proposal", [torch.zeros(1, 2), torch.full((1, 2, 1), torch.nan)])
def test_a_solver_that_gives_no_profile_is_told(proposal: Tensor) -> None:
    class Broken:
        def respond(self, game, trajectory, config):
            return proposal

    refiner = Refiner(torch.zeros(1, 2, 1), EquilibriumConfig(solver=Broken()), 3)
    with pytest.raises(TeamError, match=r"a solver must give finite profiles of the shape \(1, 2, 1\)"):
        refiner.respond(MatchingPennies())


def test_what_a_solver_proposes_is_clipped() -> None:
    class Far:
        def respond(self, game, trajectory, config):
            return torch.full_like(trajectory[-1], 7.0)

    refiner = Refiner(torch.zeros(1, 2, 1), EquilibriumConfig(solver=Far()), 3)
    refiner.respond(MatchingPennies())
    assert refiner.profile_BNA.tolist() == [[[1.0], [1.0]]]


# Further reward terms ----------------------------------------------------------------------------------------------


def test_weights_have_one_for_each_term_and_keep_their_floor() -> None:
    weights = RewardWeights((0.1, 0.5, 0.1, 0.3), ts_floor=0.2)
    assert weights.values() == pytest.approx((0.1, 0.5, 0.1, 0.3), abs=1e-6)
    with torch.no_grad():
        weights.logits.copy_(torch.tensor([50.0, -50.0, 0.0, 0.0]))
    assert weights.values() == pytest.approx((0.8, 0.2, 0.0, 0.0), abs=1e-6)


class FourTerms(CoordinationEnv):
    """Pays four terms, of which the last is the only one that varies."""

    reward_terms = ("al", "ts", "cc", "meeting")
    reward_weights: tuple[float, ...] = (0.1, 0.3, 0.1, 0.5)

    def step(self, actions):
        obs, rewards, ends, cuts, _ = super().step(actions)
        paid = {agent: {"al": 0.5, "ts": 1.0, "cc": 0.0, "meeting": reward} for agent, reward in rewards.items()}
        team = {term: sum(parts[term] for parts in paid.values()) / len(paid) for term in self.reward_terms}
        infos = {
            agent: {f"reward_{term}": value for term, value in parts.items()}
            | {f"team_{term}": value for term, value in team.items()}
            for agent, parts in paid.items()
        }
        total = {
            agent: float(sum(w * parts[term] for w, term in zip(self.reward_weights, self.reward_terms, strict=True)))
            for agent, parts in paid.items()
        }
        return obs, total, ends, cuts, infos


def test_further_terms_reach_the_learner_and_its_checkpoint(tmp_path: Path) -> None:
    spec = TeamSpec.of(FourTerms())
    assert spec.reward_terms == FourTerms.reward_terms
    assert TeamSpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec
    config = small(alpha={"learn": True, "learning_rate": 0.1})
    envs: list[FourTerms] = []

    def make() -> FourTerms:
        envs.append(FourTerms())
        return envs[-1]

    made = train(make, config, episodes=16, model_dir=tmp_path)
    weights = made.policy.alpha.values()
    assert len(weights) == 4
    assert sum(weights) == pytest.approx(1.0)
    assert weights != pytest.approx(FourTerms.reward_weights, abs=1e-3)
    assert all(env.reward_weights == weights for env in envs)  # paid with to the end
    assert EconPolicy.from_pretrained(tmp_path / "final").alpha.values() == pytest.approx(weights)


def test_weights_that_do_not_fit_the_terms_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"one for each of \('al', 'ts', 'cc', 'meeting'\)"):
        EconPolicy(TeamSpec.of(FourTerms()), small())
    with pytest.raises(TeamError, match="each once"):
        TeamSpec(2, 3, (0.0,), (1.0,), reward_terms=("ts", "al", "cc"))
    with pytest.raises(TeamError, match="each once"):
        TeamSpec(2, 3, (0.0,), (1.0,), reward_terms=(*REWARD_TERMS, "ts"))


# Checks ------------------------------------------------------------------------------------------------------------


class Attention(nn.Module):
    """This package's mixer, as others would bring it."""

    def __init__(self, shape: MixerShape) -> None:
        super().__init__()
        self.inner = Mixer(shape.action_dim, shape.group_dim, dim=shape.dim, heads=2, commitment_dim=0, learned=True)

    def forward(self, *inputs: Tensor) -> Tensor:
        total_B: Tensor = self.inner(*inputs).total_B
        return total_B


class Signed(Weighted):
    """Weights that may become negative."""

    def forward(self, q_BN, act_BNA, group_BE):
        return ((self.weigh(act_BNA).squeeze(-1) + 3.0) * q_BN).sum(1) + self.offset(group_BE).squeeze(-1)


class Folded(Weighted):
    def forward(self, q_BN, act_BNA, group_BE):
        return super().forward(q_BN, act_BNA, group_BE).abs()


class Columns(Weighted):
    def forward(self, q_BN, act_BNA, group_BE):
        return super().forward(q_BN, act_BNA, group_BE)[:, None]


class Deaf(Weighted):
    def forward(self, q_BN, act_BNA, group_BE):
        return self.weigh(act_BNA).sum((1, 2)) + self.offset(group_BE).squeeze(-1)


class Centred(Weighted):
    def forward(self, q_BN, act_BNA, group_BE):
        total_B = super().forward(q_BN, act_BNA, group_BE)
        return total_B - 0.5 * total_B.detach().mean()


class Noisy(Weighted):
    def forward(self, q_BN, act_BNA, group_BE):
        return super().forward(q_BN, act_BNA, group_BE) + torch.randn(len(q_BN))


class Idle(Weighted):
    def __init__(self, shape):
        super().__init__(shape)
        self.unused = nn.Linear(2, 2)


class Unpicklable(Weighted):
    def __init__(self, shape):
        super().__init__(shape)
        self.scale = lambda value: value


class Infinite(Weighted):
    def forward(self, q_BN, act_BNA, group_BE):
        return super().forward(q_BN, act_BNA, group_BE) / 0.0


class Random(Weighted):
    """Has a state that its state_dict does not hold."""

    def __init__(self, shape):
        super().__init__(shape)
        self.sign = torch.rand(1)

    def forward(self, q_BN, act_BNA, group_BE):
        return super().forward(q_BN, act_BNA, group_BE) * self.sign


def finds(check: Callable[[], None], message: str) -> None:
    with pytest.raises(AssertionError) as caught:
        check()
    lines = str(caught.value).splitlines()
    assert len(lines) == len(set(lines))
    assert any(re.search(message, line) for line in lines), lines


@pytest.mark.parametrize("mixer", [Weighted, Attention])
def test_sound_mixers_pass(mixer: Any) -> None:
    state = torch.get_rng_state()
    check_mixer(mixer)
    check_mixer(mixer, shape=MixerShape(1, 3, 4, 8), draws=4)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    ("mixer", "message"),
    [
        (Signed, "must not fall when a Q_i rises, whatever the parameters: slope -"),
        (Folded, "must not fall when a Q_i rises"),
        (Columns, r"Q_tot of shape \(batch,\) = \(5,\), got \(5, 1\)"),
        (Deaf, "must depend on the local values"),
        (Centred, "each row must be mixed on its own"),
        (Noisy, "the same inputs must give the same Q_tot"),
        (Idle, "every parameter must affect Q_tot, but unused.weight, unused.bias do not"),
        (Unpicklable, "must survive pickling"),
        (Infinite, "Q_tot must be finite"),
        (Random, "that loads its state_dict, must give the same Q_tot"),
        (no_module, "must make a torch.nn.Module, got function"),
    ],
)
def test_broken_mixers_are_found_out(mixer: Any, message: str) -> None:
    finds(lambda: check_mixer(mixer), message)


class Timid:
    """Moves a thousandth of the way."""

    def respond(self, game, trajectory, config):
        return torch.lerp(trajectory[-1], respond(game, trajectory[-1], config), 1e-3)


class Away:
    def respond(self, game, trajectory, config):
        return -respond(game, trajectory[-1], config)


class Flat:
    def respond(self, game, trajectory, config):
        return respond(game, trajectory[-1], config).flatten(1)


class Lost:
    def respond(self, game, trajectory, config):
        return trajectory[-1] / 0.0


class InPlace:
    def respond(self, game, trajectory, config):
        return trajectory[-1].copy_(respond(game, trajectory[-1], config))


class Wavering:
    def respond(self, game, trajectory, config):
        return respond(game, trajectory[-1], config) + 1e-3 * torch.rand(1)


class Pooled:
    """Lets the games of a batch meet."""

    def respond(self, game, trajectory, config):
        return respond(game, trajectory[-1], config).mean(0, keepdim=True).expand_as(trajectory[-1])


class Wired:
    def __init__(self):
        self.hook = lambda: None

    def respond(self, game, trajectory, config):
        return respond(game, trajectory[-1], config)


@pytest.mark.parametrize("solver", ["simultaneous", Average, Average()])
def test_sound_solvers_pass(solver: Any) -> None:
    check_solver(solver)


@pytest.mark.parametrize(
    ("solver", "message"),
    [
        (Timid, r"must bring the gap below 0.01 of its start within 200 rounds, but 0\.\d+ is left"),
        (Away, "must stay at an equilibrium"),
        (Flat, r"must give a profile of the shape \(4, 3, 2\), got \(4, 6\)"),
        (Lost, "must give finite numbers"),
        (InPlace, "must not change the profiles that it is given"),
        (Wavering, "keep no state, draw no random numbers"),
        (Pooled, "each row is a game of its own"),
        (Wired(), "must survive pickling"),
    ],
)
def test_broken_solvers_are_found_out(solver: Any, message: str) -> None:
    finds(lambda: check_solver(solver), message)
