"""Asks a server a few dozen short questions and tells which of its controls have an effect."""

from econ_env.llm.probe.lines import PROBE_VERSION, Form, Line, Probed, Verdict
from econ_env.llm.probe.probe import expected_cost, probe, remembered_probe

__all__ = ["PROBE_VERSION", "Form", "Line", "Probed", "Verdict", "expected_cost", "probe", "remembered_probe"]
