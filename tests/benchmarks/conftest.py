"""Lets tests import what lies beside the scripts of `benchmarks/`, as the scripts themselves do."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))
