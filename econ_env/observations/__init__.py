"""What executors see and do: the layout of observations, parts that are added to it, controls and infos."""

from econ_env.observations.added import Known, ObservationPart

__all__ = ["Known", "ObservationPart"]
