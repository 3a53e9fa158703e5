"""The learner's settings: unknown keys get a hint, contradictions and values out of range are refused."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from econ_agents.config import AgentConfig, parse_config
from econ_agents.errors import ConfigError


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"gama": 0.9}, "unknown key 'gama'; did you mean 'gamma'?"),
        ({"losses": {"td_totl": 1}}, "unknown key 'losses.td_totl'; did you mean 'td_total'?"),
        ({"network": {"hidden": 3}}, "unknown key 'network.hidden'; did you mean 'hidden_dim'?"),
        ({"bne": {"max_iteration_infer": 3}}, "unknown key 'bne.max_iteration_infer'; did you mean"),
        ({"replay": {"zzz": 1}}, "unknown key 'replay.zzz'; known keys: capacity, "),
    ],
)
def test_unknown_keys_are_refused_with_a_hint(values: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError) as raised:
        parse_config(values)
    assert told in str(raised.value)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"gamma": 1.5}, r"gamma: .*less than or equal to 1.*got 1\.5"),
        ({"target_update_tau": 0}, "target_update_tau: .*greater than 0"),
        ({"batch_size": "many"}, "batch_size: .*integer.*got 'many'"),
        ({"alpha": {"ts_floor": 1.0}}, r"alpha\.ts_floor: .*less than 1"),
        ({"exploration": {"random_share": -0.1}}, r"exploration\.random_share"),
        ({"network": {"heads": 3, "encoder_dim": 64}}, r"network\.encoder_dim must be a multiple of network\.heads"),
        ({"network": {"heads": 4, "mixer_dim": 30}}, r"network\.mixer_dim must be a multiple of network\.heads"),
        ({"network": {"initial_controls": [0.0, 0.5]}}, r"network\.initial_controls"),
    ],
)
def test_values_out_of_range_are_refused_by_name(values: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        parse_config(values)


def test_several_mistakes_are_told_together() -> None:
    with pytest.raises(ConfigError, match=r"batch_size: .*; unknown key 'gama'"):
        parse_config({"gama": 1, "batch_size": 0})


def test_settings_survive_json() -> None:
    config = parse_config({"network": {"initial_controls": [0.25, 0.75]}, "averaging": None})
    assert parse_config(config.model_dump(mode="json")) == config


def groups(model: type[BaseModel], prefix: str = "") -> dict[str, type[BaseModel]]:
    found = {prefix: model}
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            found |= groups(field.annotation, f"{prefix}{name}.")
    return found


@pytest.mark.parametrize("group", groups(AgentConfig))
def test_every_group_is_closed_unchangeable_and_documented(group: str) -> None:
    model = groups(AgentConfig)[group]
    assert model.model_config["extra"] == "forbid"
    assert model.model_config["frozen"]
    assert all(field.description for field in model.model_fields.values())
