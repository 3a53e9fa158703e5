"""The judge: reads the answer of a reply (`extract`, `parse`) and compares it with the gold (`compare`, `rule`)."""

from econ_env.answers.compare import Majority, heaviest, majority, same_answer
from econ_env.answers.extract import Extracted, Origin, extract_answer
from econ_env.answers.gold import Gold, read_gold
from econ_env.answers.rule import (
    DEFAULT_RULE,
    AnswerRule,
    EconAnswerRule,
    judge,
    judge_answer,
    judging,
    labels_of,
    majority_of,
    make_rule,
)
from econ_env.answers.thought import Parted, split_thought

__all__ = [
    "DEFAULT_RULE", "AnswerRule", "EconAnswerRule", "Extracted", "Gold", "Majority", "Origin", "Parted",
    "extract_answer", "heaviest", "judge", "judge_answer", "judging", "labels_of", "majority", "majority_of",
    "make_rule", "read_gold", "same_answer", "split_thought",
]  # fmt: skip
