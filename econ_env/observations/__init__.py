"""Builds what executors see and do: the layout of observations, added parts, controls and infos."""

from econ_env.observations.added import ObservationPart
from econ_env.observations.known import Known
from econ_env.observations.tally import Tally

__all__ = ["Known", "ObservationPart", "Tally"]
