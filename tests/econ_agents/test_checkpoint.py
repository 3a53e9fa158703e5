"""Checkpoints come back bit by bit, serve other teams where they can, run no code, and say what is wrong with them."""

from __future__ import annotations

import hashlib
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import torch
from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError
from safetensors.torch import load_file, save_file
from teams import make_spec, observations, replayed, small

from econ_agents.algorithm import EconAlgorithm
from econ_agents.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from econ_agents.errors import CheckpointError
from econ_agents.policy import EconPolicy


def make(n_agents: int = 3, weights: tuple[float, ...] = (0.3, 0.5, 0.2), **changes: Any) -> EconPolicy:
    torch.manual_seed(7)
    policy = EconPolicy(make_spec(n_agents), small(**changes), weights)
    policy.network.belief.observe(observations(policy.spec, 50, seed=3))
    return policy.eval()


@pytest.mark.parametrize("network", [{}, {"shared": False}, {"memory": False, "mixer": False, "encoder": False}])
def test_what_is_loaded_proposes_the_same_to_the_last_bit(tmp_path: Path, network: dict[str, Any]) -> None:
    policy = make(network=network)
    policy.save_pretrained(tmp_path / "kept")
    torch.manual_seed(1)
    loaded = EconPolicy.from_pretrained(tmp_path / "kept")
    obs_BND = observations(policy.spec, 16)
    with torch.no_grad():
        assert torch.equal(loaded.propose(obs_BND), policy.propose(obs_BND))
        assert torch.equal(loaded.network(obs_BND).total_B, policy.network(obs_BND).total_B)
    assert loaded.config == policy.config
    assert loaded.spec == policy.spec
    assert loaded.alpha.values() == policy.alpha.values()


def test_what_is_loaded_is_ready_to_act_without_noise(tmp_path: Path) -> None:
    policy = make(network={"input_noise": 1.0, "dropout": 0.5})
    policy.train()
    policy.save_pretrained(tmp_path)
    loaded = EconPolicy.from_pretrained(tmp_path)
    obs_BND = observations(policy.spec, 4)
    with torch.no_grad():
        assert torch.equal(loaded.propose(obs_BND), policy.eval().propose(obs_BND))


def test_learned_reward_weights_and_their_floor_come_back(tmp_path: Path) -> None:
    policy = make(weights=(0.1, 0.8, 0.1), alpha={"ts_floor": 0.6})
    with torch.no_grad():
        policy.alpha.logits.add_(torch.tensor([1.0, 0.0, -1.0]))
    policy.save_pretrained(tmp_path)
    loaded = EconPolicy.from_pretrained(tmp_path)
    assert loaded.alpha.values() == policy.alpha.values()
    assert loaded.alpha.values()[1] > 0.6


def test_it_is_two_files_that_anybody_can_read(tmp_path: Path) -> None:
    make().save_pretrained(tmp_path)
    values = json.loads((tmp_path / "config.json").read_text())
    assert values["team"]["n_agents"] == 3
    assert values["agent_config"]["belief_dim"] == 8
    assert set(load_file(tmp_path / "model.safetensors")) == set(make().state_dict())


# Other numbers of agents ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_agents", [1, 2, 8])
def test_shared_parameters_serve_any_number_of_agents(tmp_path: Path, n_agents: int) -> None:
    policy = make(3, network={"cluster_size": 0})
    policy.save_pretrained(tmp_path)
    loaded = EconPolicy.from_pretrained(tmp_path, n_agents=n_agents)
    assert loaded.spec == make_spec(n_agents)
    obs_BND = observations(make_spec(8), 4)
    with torch.no_grad():
        proposed = loaded.propose(obs_BND[:, :n_agents])
        same = min(n_agents, 3)
        # An agent's own controls depend on what it sees and its number alone.
        torch.testing.assert_close(proposed[:, :same], policy.propose(obs_BND[:, :3])[:, :same])
    assert proposed.shape == (4, n_agents, 2)
    loaded.fits(make_spec(n_agents))


def test_separate_parameters_do_not_and_the_text_says_why(tmp_path: Path) -> None:
    make(3, network={"shared": False}).save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match=r"separate parameters for each of 3 agents.*network\.shared: true"):
        EconPolicy.from_pretrained(tmp_path, n_agents=4)
    assert EconPolicy.from_pretrained(tmp_path, n_agents=3).spec.n_agents == 3


# Damage -----------------------------------------------------------------------------------------------------------


def _rewrite(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    values = json.loads((folder / "config.json").read_text())
    change(values)
    (folder / "config.json").write_text(json.dumps(values))


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-5] ^= 1
    path.write_bytes(bytes(data))


def _other_networks(folder: Path) -> None:
    make(belief_dim=4).save_pretrained(folder / "other")
    _rewrite(folder / "other", lambda v: v["agent_config"].update(belief_dim=8))
    for name in ("config.json", "model.safetensors"):
        (folder / "other" / name).replace(folder / name)


def _no_tensors(folder: Path) -> None:
    values = json.loads((folder / "config.json").read_text())
    save_checkpoint(folder, Checkpoint({}, {name: values[name] for name in ("agent_config", "team")}))


DAMAGE: dict[str, tuple[Callable[[Path], Any], str]] = {
    "no config": (lambda f: (f / "config.json").unlink(), "holds no checkpoint"),
    "no weights": (lambda f: (f / "model.safetensors").unlink(), "can't be read"),
    "config cut off": (lambda f: _truncate(f / "config.json"), "can't be read"),
    "config empty": (lambda f: (f / "config.json").write_text(""), "can't be read"),
    "config no UTF-8": (lambda f: (f / "config.json").write_bytes(b"\xff\xfe{"), "can't be read"),
    "config a list": (lambda f: (f / "config.json").write_text("[]"), "no checkpoint of this program"),
    "another program's": (
        lambda f: (f / "config.json").write_text('{"model_type": "bert"}'),
        "no checkpoint of this program",
    ),
    "another version": (lambda f: _rewrite(f, lambda v: v.update(format=2)), "another version"),
    "weights unnamed": (lambda f: _rewrite(f, lambda v: v.pop("weights")), "no checkpoint of this program"),
    "digest missing": (lambda f: _rewrite(f, lambda v: v.pop("sha256")), "no checkpoint of this program"),
    "weights cut off": (lambda f: _truncate(f / "model.safetensors"), "incomplete or damaged"),
    "a bit flipped": (lambda f: _flip(f / "model.safetensors"), "incomplete or damaged"),
    "newer weights": (lambda f: save_file({"x": torch.ones(1)}, f / "model.safetensors"), "incomplete or damaged"),
    "no settings": (lambda f: _rewrite(f, lambda v: v.pop("agent_config")), "holds no policy"),
    "no team": (lambda f: _rewrite(f, lambda v: v.pop("team")), "holds no policy"),
    "team of a kind": (lambda f: _rewrite(f, lambda v: v.update(team=3)), "holds no policy"),
    "team without shape": (lambda f: _rewrite(f, lambda v: v["team"].update(memory_shape=[])), "holds no policy"),
    "settings of a kind": (lambda f: _rewrite(f, lambda v: v.update(agent_config=3)), "holds no policy"),
    "unknown setting": (lambda f: _rewrite(f, lambda v: v["agent_config"].update(tau=1)), "holds no policy"),
    "other networks": (_other_networks, "does not hold the networks"),
    "no tensors": (_no_tensors, "does not hold the networks"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_damaged_and_foreign_checkpoints_are_refused(tmp_path: Path, kind: str) -> None:
    make().save_pretrained(tmp_path)
    EconPolicy.from_pretrained(tmp_path)
    damage, told = DAMAGE[kind]
    damage(tmp_path)
    with pytest.raises(CheckpointError, match=told) as raised:
        EconPolicy.from_pretrained(tmp_path)
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 500


def test_a_digest_that_fits_does_not_make_a_tensor_file(tmp_path: Path) -> None:
    make().save_pretrained(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"not tensors")
    digest = hashlib.sha256(b"not tensors").hexdigest()
    _rewrite(tmp_path, lambda v: v.update(sha256=digest))
    with pytest.raises(CheckpointError, match="can't be read"):
        EconPolicy.from_pretrained(tmp_path)


def test_an_interrupted_write_leaves_the_one_before_readable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_checkpoint(tmp_path, Checkpoint({"x": torch.ones(2)}, {"n": 1}), weights_name="one.safetensors")

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", full)
        with pytest.raises(CheckpointError, match=r"can't be written.*No space left"):
            save_checkpoint(tmp_path, Checkpoint({"x": torch.zeros(2)}, {"n": 2}), weights_name="two.safetensors")
    kept = load_checkpoint(tmp_path)
    assert kept.values["n"] == 1
    assert torch.equal(kept.tensors["x"], torch.ones(2))


def test_weights_outside_the_folder_are_not_read(tmp_path: Path) -> None:
    make().save_pretrained(tmp_path / "kept")
    (tmp_path / "kept" / "model.safetensors").rename(tmp_path / "model.safetensors")
    _rewrite(tmp_path / "kept", lambda v: v.update(weights="../model.safetensors"))
    with pytest.raises(CheckpointError, match="can't be read"):
        EconPolicy.from_pretrained(tmp_path / "kept")


# No code is run ---------------------------------------------------------------------------------------------------


def test_loading_never_unpickles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    policy = make()
    policy.save_pretrained(tmp_path)

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("unpickled")

    for module, name in [(pickle, "load"), (pickle, "loads"), (pickle, "Unpickler"), (torch, "load")]:
        monkeypatch.setattr(module, name, refuse)
    with pytest.raises(AssertionError, match="unpickled"):
        torch.load(tmp_path / "model.safetensors")
    loaded = EconPolicy.from_pretrained(tmp_path)
    assert torch.equal(loaded.network.heads(torch.ones(1, 3, 8)), policy.network.heads(torch.ones(1, 3, 8)))


def test_a_pickle_in_place_of_the_weights_is_refused(tmp_path: Path) -> None:
    make().save_pretrained(tmp_path)
    torch.save({"x": torch.ones(1)}, tmp_path / "model.safetensors")
    digest = hashlib.sha256((tmp_path / "model.safetensors").read_bytes()).hexdigest()
    _rewrite(tmp_path, lambda v: v.update(sha256=digest))
    with pytest.raises(CheckpointError, match="can't be read"):
        EconPolicy.from_pretrained(tmp_path)


# The hub ----------------------------------------------------------------------------------------------------------


def test_push_to_hub_uploads_what_from_pretrained_downloads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub, asked = tmp_path / "hub", {}

    def create_repo(self: Any, repo_id: str, **_: Any) -> Any:
        return type("Url", (), {"repo_id": repo_id})()

    def upload_folder(self: Any, *, repo_id: str, folder_path: Any, **_: Any) -> str:
        (hub / repo_id).mkdir(parents=True)
        for path in Path(folder_path).iterdir():
            (hub / repo_id / path.name).write_bytes(path.read_bytes())
        return "done"

    def snapshot_download(repo_id: str, *, revision: str | None, token: str | None) -> str:
        asked.update(revision=revision, token=token)
        return str(hub / repo_id)

    monkeypatch.setattr(huggingface_hub.HfApi, "create_repo", create_repo)
    monkeypatch.setattr(huggingface_hub.HfApi, "upload_folder", upload_folder)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    policy = make()
    policy.push_to_hub("somebody/team")
    assert {"config.json", "model.safetensors"} <= {path.name for path in (hub / "somebody/team").iterdir()}
    loaded = EconPolicy.from_pretrained("somebody/team", revision="v1", token="secret", n_agents=4)
    assert asked == {"revision": "v1", "token": "secret"}
    assert loaded.spec.n_agents == 4
    obs_BND = observations(policy.spec, 2)
    with torch.no_grad():
        assert torch.equal(EconPolicy.from_pretrained("somebody/team").propose(obs_BND), policy.propose(obs_BND))


@pytest.mark.parametrize("error", [LocalEntryNotFoundError("no net\nmore"), HFValidationError("odd"), OSError("down")])
def test_a_hub_that_has_nothing_is_one_clear_line(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def download(*_: Any, **__: Any) -> str:
        raise error

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    with pytest.raises(CheckpointError, match="no folder 'some/thing', and nothing of that name on the hub") as told:
        EconPolicy.from_pretrained("some/thing")
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("name", ["missing", "./missing/model", "/nowhere/at/all", "~/nothing/here"])
def test_a_path_is_never_looked_up_on_the_hub(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    def download(*_: Any, **__: Any) -> str:
        raise AssertionError("asked the hub")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    with pytest.raises(CheckpointError, match="there is no folder"):
        EconPolicy.from_pretrained(name)


def test_an_algorithm_around_a_loaded_policy_goes_on_learning(tmp_path: Path) -> None:
    make().save_pretrained(tmp_path)
    algorithm = EconAlgorithm(EconPolicy.from_pretrained(tmp_path))
    first = algorithm._update_with_batch(replayed(make_spec(), rows=16)).td_local
    for _ in range(15):
        last = algorithm._update_with_batch(replayed(make_spec(), rows=16)).td_local
    assert first is not None
    assert last is not None
    assert last < first
