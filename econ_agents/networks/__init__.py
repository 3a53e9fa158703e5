"""The trained networks: beliefs of agents, the encoder of the group, the mixer, critics and heads.

Your own mixer takes a `MixerShape`; name it in `NetworkConfig(mixer=...)`.
"""

from econ_agents.networks.belief import BeliefNetwork
from econ_agents.networks.encoder import BeliefEncoder
from econ_agents.networks.mixer import Mixer, MixerShape

__all__ = ["BeliefEncoder", "BeliefNetwork", "Mixer", "MixerShape"]
