"""Describes the data sets that have a short name: where they are on the hub, and which columns make their problems.

A name loads from the hub, `NAME:CONFIGURATION` one part of it, and `NAME:PATH` a copy of it on this machine, also in
the form in which its authors publish it. Sets without a revision are loaded as they are on the hub today, because no
commit of theirs was checked; pass `revision=` to fix one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_PROBLEM = ("problem", "Problem", "question", "Question")
_PLAIN = ("question", "Question", "input", "sQuestion")
_RESULT = ("answer", "Answer", "target", "lSolutions")


@dataclass(frozen=True)
class Preset:
    """A data set that has a short name here."""

    hub_id: str
    """Its name on the hub."""
    splits: tuple[str, ...]
    question: tuple[str, ...]
    """The question's column: the first of these that there is."""
    answer: tuple[str, ...]
    """Likewise the answer's."""
    config: str | None = None
    """The configuration that is loaded by default; none if there is only one, or if one must be named."""
    configs: tuple[str, ...] = ()
    """All of them that can be named."""
    revision: str | None = None
    """The commit that is loaded by default."""
    unit: str = ""
    """Pattern of what follows the number in an answer and is no part of the gold."""
    only: tuple[tuple[str, object], ...] = ()
    """Rows to keep, where they have these columns: column and value."""
    header: tuple[str, ...] = ()
    """Names of the columns in a file without a first line that has them."""
    note: str = ""
    """Advice for the message about a missing split."""

    def gold(self, answer: str) -> str:
        """A gold answer without its unit: `9 (apples)` is 9."""
        return re.sub(f"{self.unit}$", "", answer) if self.unit else answer

    @property
    def url(self) -> str:
        """The page that describes its columns."""
        return f"https://huggingface.co/datasets/{self.hub_id}"


_MGSM = ("bn", "de", "en", "es", "fr", "ja", "ru", "sw", "te", "th", "zh")
_MATH_500 = Preset(
    "HuggingFaceH4/MATH-500",
    ("test",),
    ("problem",),
    ("answer",),
    revision="6e4ed1a2a79af7d8630a6b768ec859cb5af4d3be",
    note=" MATH-500 is for testing only: train on another set, for example on 'hendrycks-math'",
)

PRESETS: Mapping[str, Preset] = {
    "gsm8k": Preset(
        "openai/gsm8k",
        ("train", "test"),
        ("question",),
        ("answer",),
        config="main",
        configs=("main",),
        revision="cc7b047b6e5bb11b4f1af84efc572db110a51b3c",
    ),
    "gsm-plus": Preset("qintongli/GSM-Plus", ("test", "testmini"), ("question",), ("answer",)),
    "gsm-hard": Preset("reasoning-machines/gsm-hard", ("train",), ("input",), ("target",)),
    "gsm-symbolic": Preset(
        "apple/GSM-Symbolic",
        ("test",),
        ("question",),
        ("answer",),
        config="main",
        configs=("main", "p1", "p2"),
        revision="93b5b3758d9d9841ffe81d6cd2ae2b030685b078",
    ),
    "svamp": Preset(
        "ChilleD/SVAMP", ("train", "test"), _PLAIN, _RESULT, revision="5e0bf1e5e7c0e9c4bc39180d224f41f3f801b7ef"
    ),
    "asdiv": Preset("EleutherAI/asdiv", ("validation",), _PLAIN, _RESULT, unit=r"(?<=\d) \([^()]*\)"),
    "mawps": Preset("MU-NLPC/Calc-mawps", ("train", "validation", "test"), _PLAIN, ("result", *_RESULT)),
    "multiarith": Preset("ChilleD/MultiArith", ("train", "test"), _PLAIN, ("final_ans", *_RESULT)),
    "math": _MATH_500,
    "math-500": _MATH_500,
    "hendrycks-math": Preset("DigitalLearningGmbH/MATH-lighteval", ("train", "test"), ("problem",), ("solution",)),
    "aime": Preset("AI-MO/aimo-validation-aime", ("train",), _PROBLEM, ("answer", "Answer")),
    "aime-2024": Preset("HuggingFaceH4/aime_2024", ("train",), _PROBLEM, ("answer", "Answer")),
    "aime-2025": Preset("math-ai/aime25", ("test",), _PROBLEM, ("answer", "Answer")),
    "amc": Preset("AI-MO/aimo-validation-amc", ("train",), _PROBLEM, ("answer", "Answer")),
    "olympiadbench": Preset(
        "Hothan/OlympiadBench",
        ("train",),
        ("question",),
        ("final_answer",),
        config="OE_TO_maths_en_COMP",
        configs=("OE_TO_maths_en_COMP", "OE_TO_maths_zh_COMP", "OE_TO_maths_zh_CEE"),
        only=(("answer_type", "Numerical"), ("is_multiple_answer", False)),
    ),
    "mgsm": Preset(
        "juletxara/mgsm",
        ("train", "test"),
        ("question",),
        ("answer_number", "answer"),
        configs=_MGSM,
        header=("question", "answer_number"),
    ),
}
"""Short names of sets on the hub."""
