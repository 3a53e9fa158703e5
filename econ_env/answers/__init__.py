"""The judge of answers: reads the final answer of a reply and compares it with the gold answer by a named rule.

* A whole reply: `extract.py`, with `json_field.py`, `marks.py`, `phrase.py`, `last_number.py` and what they
  share, `prose.py`.
* A bare answer: `reading.py` tells its kind (`forms.py`), with `clean.py`, `exact.py`, `units.py`.
* Two answers: `same.py`; those that need algebra `formula.py`, in a process of its own (`process.py`, `worker.py`).
* The verdict: `rule.py`.
"""

from econ_env.answers.extract import Extracted, Origin, extract_answer
from econ_env.answers.rule import (
    DEFAULT_RULE,
    AnswerRule,
    EconAnswerRule,
    judge,
    judging,
    majority_of,
    make_rule,
)
from econ_env.answers.same import Majority, majority, same_answer

__all__ = [
    "DEFAULT_RULE",
    "AnswerRule",
    "EconAnswerRule",
    "Extracted",
    "Majority",
    "Origin",
    "extract_answer",
    "judge",
    "judging",
    "majority",
    "majority_of",
    "make_rule",
    "same_answer",
]
