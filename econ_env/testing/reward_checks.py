"""Checks that an object is a reward term in the sense of `econ_env.rewards.added.RewardTerm`.

>>> from econ_env.testing import check_reward_term
>>> check_reward_term(MyTerm())
"""

from __future__ import annotations

import copy

from econ_env.errors import ExtensionError
from econ_env.rewards.added import RewardTerm, make_terms, term_value
from econ_env.testing.sample_plays import sample_submissions
from econ_env.testing.violations import Violations


def check_reward_term(term: RewardTerm) -> None:
    """Check a reward term on the submissions of a simulated team.

    Args:
        term: The reward term to check.

    Raises:
        CheckError: All errors found, one per line.
    """
    with Violations() as found:
        with found.guarding("naming it"):
            make_terms([term])
        samples = sample_submissions()
        for submission, agent in samples:
            before = copy.deepcopy(submission)
            with found.guarding("value"):
                try:
                    value = term_value(term, submission, agent)
                except ExtensionError as error:
                    found.require(False, str(error))
                    break
                again = term_value(term, submission, agent)
                found.require(again == value, "value must return the same number for the same submission")
            found.require(repr(before) == repr(submission), "value must not change the submission")
        found.require_copies(term, lambda one: [one.value(*sample) for sample in samples], "values")
