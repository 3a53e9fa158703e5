"""The parts of a training run: environments, collector, replay, early stopping, and the saved state."""

from econ_agents.training.collector import RefiningCollector
from econ_agents.training.replay import TeamBuffer, UniformReplayBuffer, make_buffer
from econ_agents.training.training_envs import TrainingEnvs

__all__ = ["RefiningCollector", "TeamBuffer", "TrainingEnvs", "UniformReplayBuffer", "make_buffer"]
