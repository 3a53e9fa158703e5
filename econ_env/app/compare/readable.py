"""Names methods for readers: `ECON with 3 rounds` for `bne`, `Self-consistency of 7` for `sc@7`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from econ_env.methods.stopping import AGREE, THRESHOLD, WINDOW

PLAIN: Mapping[str, str] = {
    "single": "One greedy call",
    "majority": "Majority of all executors",
    "best_single": "Best single executor",
    "weighted_vote": "Vote weighted by accuracy",
    "cisc": "Vote weighted by confidence",
    "fixed": "Team with fixed controls",
    "random": "Team with random controls",
    "cma_es": "Team with controls found by CMA-ES",
    "bandit": "Team with controls found by a bandit",
    "any_right": "Any executor right",
    "best_stop": "Best stop in hindsight",
}
"""Methods whose name says no number."""

COUNTED: Mapping[str, tuple[str, str, float | None]] = {
    "sc": ("Self-consistency of {:g}", "Self-consistency", None),
    "best_of_n": ("Best of {:g} samples", "Best of several samples", None),
    "debate": ("Debate of {:g} rounds", "Debate", None),
    "adaptive_consistency": ("Adaptive consistency until {:.0%} sure", "Adaptive consistency", THRESHOLD),
    "esc": ("Early stopping, windows of {:g}", "Early stopping", WINDOW),
    "best_first": ("Best first until {:g} agree", "Best first", AGREE),
}
"""Methods whose name says a number: name with and without it, and the number where neither key nor run say it."""

BUILT_IN = (*PLAIN, *COUNTED)
"""Keys that are no user's own method, besides those of the learned team."""

LEARNED = ("bne", "no_bne", "baseline")
"""Keys of the learned team: with rounds of refinement, and without, in comparisons and in tests after training."""

TEAMS = (*LEARNED, "fixed", "random", "cma_es", "bandit")
"""Keys of methods in which the whole team answers: plan, executors, and what is made of their replies."""

BOUNDS = ("any_right", "best_stop")
"""Keys of bounds: they know the right answers, so nobody can play them."""

VOTES = ("single", "majority", "best_single", "sc", "adaptive_consistency", "esc", "best_first", "debate", *BOUNDS)
"""Keys of methods whose answer is by rule the plain majority of their replies, or their only reply."""


@dataclass(frozen=True)
class Play:
    """What a run's settings say about how its learned team was played."""

    rounds: int | None = None
    """K of the test with refinement; `None` if it is unknown."""
    speaks: bool = False
    """Whether executors choose when to speak: then a round is a step, and K means nothing."""

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Play:
        """From the settings as `run.json` keeps them."""
        rounds = config.get("bne_max_iterations") or config.get("bne", {}).get("max_iterations_infer")
        return cls(rounds, "speak" in config.get("sampling", {}).get("controls", ()))


def readable_name(key: str, units: int | None = None, play: Play | None = None) -> str:
    """A method's name for readers; names of added methods stay as they are.

    Args:
        key: The method's name in files, such as `sc@7`.
        units: Samples or rounds that the run chose, where the key has no number.
        play: How the learned team was played.
    """
    base, _, number = key.partition("@")
    if key in LEARNED:
        return _learned(key, play or Play())
    if base in COUNTED:
        words, bare, usual = COUNTED[base]
        found = float(number) if number else units or usual
        return bare if found is None else words.format(found)
    return PLAIN.get(key, key)


def _learned(key: str, play: Play) -> str:
    if play.speaks:
        return "ECON, executors choosing when to speak"
    rounds = play.rounds if key == "bne" else 1
    if rounds is None:
        return "ECON with rounds"
    return f"ECON with {rounds} {'round' if rounds == 1 else 'rounds'}"


def readable_names(parts: Mapping[str, Mapping[str, Any]], plays: Mapping[str, Play]) -> dict[str, str]:
    """The names of labels, no two the same.

    Args:
        parts: What is known of each label; `units` is read. A label is a key, or `RUN: KEY`.
        plays: How the learned team was played, by label.
    """
    found = {}
    for label, part in parts.items():
        run, colon, key = label.rpartition(": ")
        found[label] = run + colon + readable_name(key, part["units"], plays.get(label))
    count = Counter(found.values())
    return {
        label: name if count[name] == 1 else f"{name} ({label.rpartition(': ')[2]})" for label, name in found.items()
    }


def run_of(label: str) -> str:
    """The run's name in front of a label's key; empty if there is one run."""
    return label.rpartition(": ")[0]


def key_of(label: str) -> str:
    """A label's key, without the run."""
    return label.rpartition(": ")[2]


def base_of(label: str) -> str:
    """A label's key, without the run and a number."""
    return key_of(label).partition("@")[0]
