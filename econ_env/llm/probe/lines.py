"""What a probe finds: a verdict for each control, how it was shown, and what chance alone would give."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

PROBE_VERSION = "econ-probe-v1"
"""Version of questions and verdicts, written into every result. A change of either needs a new one."""

Verdict = Literal["alive", "dead", "refused", "unclear", "no"]
"""`alive`: it has an effect; `dead`: the server takes it and it has none; `refused`: the server refuses it; `unclear`:
not shown; `no`: the model does not do so, which is no fault."""
Form = Literal["full", "short"]
"""`short` asks for the controls that are learned alone."""


@dataclass(frozen=True)
class Line:
    """What was found about one control or ability."""

    name: str
    """`temperature`, `top_p`, `min_p`, `repetition_penalty`, `seed`, `json_schema`, `logprobs`, `n`, `thinking` or
    `limits`."""
    verdict: Verdict
    """Whether it has an effect."""
    how: str
    """What was asked."""
    value: str
    """What came back."""
    chance: float | None = None
    """Probability of a difference this large if the control had no effect; `None` where no difference is tested."""
    calls: int = 0
    """Calls that it took."""


@dataclass(frozen=True)
class Probed:
    """All that was found about one model at one server."""

    where: str
    """The server, without credentials."""
    model: str
    """The model."""
    form: Form
    """Which lines were asked for."""
    lines: tuple[Line, ...]
    """What was found."""
    calls: int
    """Answered calls."""
    tokens: int
    """Tokens of prompts and replies."""
    seconds: float
    """Wall time."""

    def line(self, name: str) -> Line:
        """The line of this name.

        Raises:
            KeyError: There is none.
        """
        for line in self.lines:
            if line.name == name:
                return line
        raise KeyError(name)

    def plain(self) -> dict[str, Any]:
        """The findings as plain values."""
        return {"version": PROBE_VERSION, **asdict(self), "lines": [asdict(line) for line in self.lines]}

    @classmethod
    def read(cls, text: str) -> Probed | None:
        """Findings from the JSON text of `plain`; `None` if it is of another version or damaged."""
        try:
            row = json.loads(text)
            if not isinstance(row, Mapping) or row.get("version") != PROBE_VERSION:
                return None
            lines = tuple(Line(**line) for line in row["lines"])
            found = cls(**{name: row[name] for name in cls.__dataclass_fields__ if name != "lines"}, lines=lines)
        except (ValueError, TypeError, KeyError):
            return None
        return found if all(line.verdict in get_args(Verdict) for line in lines) else None
