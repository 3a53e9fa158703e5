"""Computes what is in a bank: accuracy by model and cell, agreement, correlated errors and bounds, as plain values.

Axes: R replies, P problems, G cells, S slots; slot g * P + p has the replies to problem p in cell g. Accuracy, bounds
and intervals are over problems: several replies to one problem are averaged first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from econ_env.answers import AnswerRule
from econ_env.app.compare.intervals import Estimate, FloatArray, share_over_problems
from econ_env.errors import BankError
from econ_env.recorded import Bank
from econ_env.recorded.grid import Grid

Facts = dict[str, Any]
Places = NDArray[np.int64]
Truths = NDArray[np.bool_]

CUT = "length"
"""What servers call the end of a reply at its limit of tokens."""


def bank_facts(bank: Bank, rule: AnswerRule) -> Facts:
    """What is in a bank.

    Args:
        bank: The bank.
        rule: Judges the answers; may take minutes if many are formulas.

    Returns:
        `name`, `replies`, `problems`, `models`, `controls`, `questions` and `texts` (whether it has them), `manifest`,
        `rule`, `cells` (see `_cell`), `length_in` (`tokens`, `characters` or `None`), `full` (whether linear chances
        can be played), `missing` (problems without a reply in some cell), `changed` (verdicts by the rule that differ
        from those of the file; `None` if it has none), `models_together` (see `_together`) and `within_model`.
    """
    judged = bank.judged(rule)
    P, G = len(bank.problems), len(bank.cell_model_G)
    slot_R = np.repeat(np.arange(G * P), np.diff(bank.start))
    answered_GP = np.diff(bank.start).reshape(G, P)
    length = next(((name, bank.numbers[name]) for name in ("tokens", "reply_chars") if name in bank.numbers), None)
    return {
        "name": bank.name,
        "replies": len(bank),
        "problems": P,
        "models": list(bank.models),
        "controls": list(bank.controls),
        "questions": bank.has_questions,
        "texts": bank.read_replies is not None,
        "manifest": asdict(bank.manifest),
        "rule": rule.name,
        "cells": [_cell(bank, cell, slot_R, rule) for cell in range(G)],
        "length_in": None if length is None else "tokens" if length[0] == "tokens" else "characters",
        "full": all(_is_full(bank, model) for model in range(len(bank.models))),
        "missing": int((answered_GP == 0).any(axis=0).sum()),
        "changed": None if bank.correct_R is None else int((bank.correct_R == ~judged.right_R).sum()),
        "models_together": _together(bank, rule) if len(bank.models) > 1 else None,
        "within_model": _within(bank, rule),
    }


def _cell(bank: Bank, cell: int, slot_R: Places, rule: AnswerRule) -> Facts:
    """What is in a cell.

    Returns:
        `model`, `controls`, `problems` with a reply, `replies`, fewest and most `samples`, share `right` of the
        replies, of the `majority` of the samples and of `any_right` of them (`None` for single samples), share with
        `no_answer`, mean `length`, and share `cut` at the limit of tokens.
    """
    P = len(bank.problems)
    own = slice(int(bank.start[cell * P]), int(bank.start[(cell + 1) * P]))
    judged = bank.judged(rule)
    place_R = slot_R[own] - cell * P
    label_R, right_R = judged.label_R[own], judged.right_R[own]
    counts = np.bincount(place_R, minlength=P)
    there = counts > 0
    share = np.bincount(place_R, right_R, P)[there] / counts[there]
    several = counts.max() > 1
    length = next((bank.numbers[name][own] for name in ("tokens", "reply_chars") if name in bank.numbers), None)
    ended = None if bank.end_R is None else bank.end_R[own]
    return {
        "model": bank.models[bank.cell_model_G[cell]],
        "controls": dict(zip(bank.controls, bank.cell_controls_GA[cell].tolist(), strict=True)),
        "problems": int(there.sum()),
        "replies": len(place_R),
        "samples": [int(counts[there].min()), int(counts.max())],
        "right": _plain(share_over_problems(share, len(place_R))),
        "majority": _over(majority_right(place_R, label_R, right_R, P)[there]) if several else None,
        "any_right": _over(share > 0) if several else None,
        "no_answer": float((label_R < 0).mean()),
        "length": None if length is None else _mean(length),
        "cut": None
        if ended is None or (ended < 0).all()
        else float(np.isin(ended[ended >= 0], [n for n, end in enumerate(bank.ends) if end == CUT]).mean()),
    }


def majority_right(place_R: Places, label_R: NDArray[np.int32], right_R: Truths, places: int) -> Truths:
    """Whether the most frequent answer at each place is right; in a tie the one that comes first wins.

    Args:
        place_R: Place that each reply votes at.
        label_R: Number of its answer there; -1 for none, which does not vote.
        right_R: Whether it is right.
        places: Number of places.
    """
    voters = np.flatnonzero(label_R >= 0)
    labels = int(label_R.max(initial=-1)) + 1
    _, first, votes = np.unique(
        place_R[voters] * labels + label_R[voters], return_index=True, return_counts=True
    )  # `first` is the answer's first voter
    at = place_R[voters[first]]
    order = np.lexsort((first, -votes, at))
    winners, best = np.unique(at[order], return_index=True)
    found = np.zeros(places, bool)
    found[winners] = right_R[voters[first[order[best]]]]
    return found


def _together(bank: Bank, rule: AnswerRule) -> Facts | None:
    """One reply of each model, the first one in its first cell, to the problems to which all have one.

    Returns:
        `problems`, the `best` model, shares right of it (`single`), of the `majority` of all models and of `any_right`,
        and for `pairs` of models how often they `agree` and how their errors correlate (`phi`), with the means of both;
        `None` without a common problem. A reply without an answer agrees with no other.
    """
    judged = bank.judged(rule)
    first_MP = np.stack([_nth(bank, int(bank.cells(model)[0]), 0) for model in range(len(bank.models))])
    common = np.flatnonzero((first_MP >= 0).all(axis=0))
    if not len(common):
        return None
    chosen_MP = first_MP[:, common]
    label_MP, right_MP = judged.label_R[chosen_MP], judged.right_R[chosen_MP]
    votes = majority_right(
        np.tile(np.arange(len(common)), len(bank.models)), label_MP.ravel(), right_MP.ravel(), len(common)
    )
    best = int(right_MP.mean(axis=1).argmax())
    any_right: Truths = np.logical_or.reduce(right_MP)
    pairs: list[Facts] = [
        {
            "models": [bank.models[one], bank.models[two]],
            "agree": float(((label_MP[one] == label_MP[two]) & (label_MP[one] >= 0)).mean()),
            "phi": phi(~right_MP[one], ~right_MP[two]),
        }
        for one, two in combinations(range(len(bank.models)), 2)
    ]
    return {
        "problems": len(common),
        "best": bank.models[best],
        "single": _over(right_MP[best]),
        "majority": _over(votes),
        "any_right": _over(any_right),
        "agree": _mean_known([pair["agree"] for pair in pairs]),
        "phi": _mean_known([pair["phi"] for pair in pairs]),
        "pairs": pairs,
    }


def _within(bank: Bank, rule: AnswerRule) -> Facts | None:
    """Agreement and correlation of errors of the first two samples of a cell, mean over cells with two.

    Returns:
        `cells`, `agree` and `phi`; `None` if no cell has two samples of a problem.
    """
    judged = bank.judged(rule)
    agree, phis = [], []
    for cell in range(len(bank.cell_model_G)):
        one, two = _nth(bank, cell, 0), _nth(bank, cell, 1)
        both = two >= 0
        if both.any():
            first, second = one[both], two[both]
            label = judged.label_R[first]
            agree.append(float(((label == judged.label_R[second]) & (label >= 0)).mean()))
            phis.append(phi(~judged.right_R[first], ~judged.right_R[second]))
    if not agree:
        return None
    return {"cells": len(agree), "agree": float(np.mean(agree)), "phi": _mean_known(phis)}


def _nth(bank: Bank, cell: int, number: int) -> Places:
    """Place of the n-th reply to each problem in a cell; -1 where there is none."""
    P = len(bank.problems)
    start, stop = bank.start[cell * P : (cell + 1) * P], bank.start[cell * P + 1 : (cell + 1) * P + 1]
    found: Places = np.where(stop - start > number, start + number, -1)
    return found


def phi(one: Truths, other: Truths) -> float | None:
    """The correlation of two series of truth values, in [-1, 1]; `None` if one of them never changes."""
    if one.all() or other.all() or not one.any() or not other.any():
        return None
    return float(np.corrcoef(one, other)[0, 1])


def _mean_known(values: Iterable[float | None]) -> float | None:
    """The mean without what is unknown; `None` if all is."""
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _is_full(bank: Bank, model: int) -> bool:
    try:
        Grid(bank, model, "linear")
    except BankError:
        return False
    return True


def _over(right: Truths) -> Mapping[str, float | None]:
    """A share of problems with its interval."""
    return _plain(share_over_problems(right.astype(np.float64), len(right)))


def _plain(estimate: Estimate) -> dict[str, float | None]:
    return dict(estimate._asdict())


def _mean(values: FloatArray) -> float | None:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else None
