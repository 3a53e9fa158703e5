"""Wraps the environment for other trainers: other actions, gymnasium's interface, and many problems at once.

Wrap actions first, then choose a view: `JointView(NormalizedActions(parallel_env(...)))`. For AEC trainers there is
`econ_env.econ_v0.env`. All keep the infos, the parts of the rewards and rounds inside a decision (`deliberate`), pass
on `reward_weights`, `price`, `prospect` and `control_names`, and can be pickled and copied.
"""

from econ_env.wrappers.actions import ActionWrapper, DiscreteActions, NormalizedActions, TeamEnv
from econ_env.wrappers.joint import JointView
from econ_env.wrappers.offline import store_episodes
from econ_env.wrappers.tuples import TupleView, epymarl_config
from econ_env.wrappers.vector import ParallelVectorTeam, VectorTeam

__all__ = [
    "ActionWrapper", "DiscreteActions", "JointView", "NormalizedActions", "ParallelVectorTeam", "TeamEnv", "TupleView",
    "VectorTeam", "epymarl_config", "store_episodes",
]  # fmt: skip
