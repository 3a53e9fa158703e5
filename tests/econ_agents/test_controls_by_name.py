"""The learner's side of controls by name: what a team spec, a checkpoint and the joint view say of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from teams import make_spec, small

from econ_agents.errors import TeamError
from econ_agents.joint_env import AGENT_NUMBERS, TEAM_NUMBERS, JointEnv
from econ_agents.policy import EconPolicy
from econ_agents.team_spec import TeamSpec
from econ_agents.testing import CoordinationEnv

NAMES = ("temperature", "repetition_penalty")


class Named(CoordinationEnv):
    """A game that names its controls and tells of weights and prices."""

    control_names: tuple[str, ...] = ()

    def step(self, actions: Any) -> Any:
        *others, infos = super().step(actions)
        for place, info in enumerate(infos.values()):
            info.update(speak=1.0, weight=place / 10, price=place / 100, team_price=0.5)
        return (*others, infos)


def game(names: tuple[str, ...]) -> Named:
    env = Named()
    env.control_names = names
    return env


def test_names_are_read_where_the_environment_has_them() -> None:
    dim = TeamSpec.of(CoordinationEnv()).action_dim
    assert TeamSpec.of(CoordinationEnv()).controls == ()
    names = tuple(f"control_{number}" for number in range(dim))
    assert TeamSpec.of(game(names)).controls == names
    assert TeamSpec.of(game((*names, "more"))).controls == ()  # a wrapper gave the actions another width


def test_names_that_do_not_fit_are_refused() -> None:
    with pytest.raises(TeamError, match="2 controls need as many names, got speak"):
        replace(make_spec(), controls=("speak",))


def test_names_are_written_and_read_and_missing_in_old_files() -> None:
    spec = replace(make_spec(), controls=NAMES)
    assert TeamSpec.from_json(spec.to_json()) == spec
    old = {name: value for name, value in spec.to_json().items() if name != "controls"}
    assert TeamSpec.from_json(old) == make_spec()


def test_a_checkpoint_keeps_them_and_says_what_differs(tmp_path: Path) -> None:
    torch.manual_seed(0)
    spec = replace(make_spec(), controls=NAMES)
    EconPolicy(spec, small()).save_pretrained(tmp_path)
    policy = EconPolicy.from_pretrained(tmp_path)
    assert policy.spec.controls == NAMES
    policy.fits(spec)
    policy.fits(make_spec())  # an environment without names
    message = (
        "the policy was trained with the controls temperature, repetition_penalty, the environment has "
        "temperature, top_p; use those"
    )
    with pytest.raises(TeamError, match=message):
        policy.fits(replace(spec, controls=("temperature", "top_p")))
    longer = replace(spec, action_low=(0.0,) * 3, action_high=(1.0,) * 3, controls=(*NAMES, "speak"))
    with pytest.raises(TeamError, match="the environment has temperature, repetition_penalty, speak"):
        policy.fits(longer)
    nameless = EconPolicy(make_spec(), small())  # of an earlier version
    nameless.fits(spec)
    with pytest.raises(TeamError, match=r"controls in 0 to 2, 1 to 1\.5"):
        nameless.fits(longer)


def test_the_joint_view_has_the_new_numbers() -> None:
    assert {"speak", "weight", "top_p", "min_p", "price"} <= {*AGENT_NUMBERS}
    assert "team_price" in TEAM_NUMBERS
    env = JointEnv(game(()))
    env.reset(seed=0)
    *_, info = env.step(env.action_space.sample())
    count = env.team.n_agents
    assert info["weight"] == pytest.approx(np.arange(count) / 10)
    assert info["price"] == pytest.approx(np.arange(count) / 100)
    assert (info["speak"].tolist(), info["team_price"]) == ([1.0] * count, 0.5)
