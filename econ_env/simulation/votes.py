"""Computes the chance that a majority vote is right, for voters that err independently or together.

The vote is the simulated coordinator's: the most frequent answer wins, and a fair draw decides a tie. Wrong voters pick
one of W wrong answers, each with the same chance and independently. So

    P(vote right) = sum_r P(r voters are right) * win_chance[r],

where only the first factor depends on how the voters' draws are correlated.

Shapes: `...` any batch of profiles, N voters.
"""

from __future__ import annotations

from functools import lru_cache
from math import comb, factorial

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

SAMPLES = 2**10
"""Points of the integration over the shared field, used only for more than three coupled voters."""
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(40)
_NODES, _WEIGHTS = (_NODES + 1.0) / 2.0, _WEIGHTS / 2.0  # from [-1, 1] to [0, 1]


@lru_cache(maxsize=256)
def win_chance(voters: int, wrong_answers: int) -> tuple[float, ...]:
    """Chance that the right answer wins the vote when r voters are right, for r = 0 .. voters.

    Exact: counts the ways in which the wrong voters can fall on the wrong answers.

    Args:
        voters: N >= 1.
        wrong_answers: W >= 1.
    """
    chances = [0.0]
    for right in range(1, voters + 1):
        wrong = voters - right
        won = 0.0
        for tied in range(min(wrong_answers, wrong // right) + 1):
            rest = wrong - tied * right
            ways = comb(wrong_answers, tied) * factorial(wrong) // (factorial(right) ** tied * factorial(rest))
            won += ways * _spread(rest, wrong_answers - tied, right - 1) / (tied + 1)
        chances.append(won / wrong_answers**wrong)
    return tuple(chances)


@lru_cache(maxsize=65536)
def _spread(voters: int, answers: int, most: int) -> int:
    """Number of ways to spread distinct voters over answers with at most `most` on each."""
    if answers == 0:
        return int(voters == 0)
    return sum(comb(voters, k) * _spread(voters - k, answers - 1, most) for k in range(min(voters, most) + 1))


def independent_counts(chances: FloatArray) -> FloatArray:
    """Distribution of the number of right voters when they err independently.

    Args:
        chances: Chance of each voter, shape (..., N).

    Returns:
        P(r voters are right), shape (..., N + 1).
    """
    law = np.zeros((*chances.shape[:-1], chances.shape[-1] + 1))
    law[..., 0] = 1.0
    for chance in np.moveaxis(chances, -1, 0)[..., None]:
        moved = law[..., :-1] * chance
        law *= 1.0 - chance
        law[..., 1:] += moved
    return law


def coupled_counts(chances: FloatArray, correlation: FloatArray) -> FloatArray:
    """Distribution of the number of right voters; voter i is right if z_i < Phi^-1(chance_i), z jointly normal.

    For up to three voters it uses one-dimensional integrals (Plackett 1954; error below 1e-8 for correlations up to
    0.95). For more, it integrates over z on `SAMPLES` fixed Sobol points (error about 1e-3).

    Args:
        chances: Chance of each voter, in [0, 1], shape (..., N).
        correlation: Correlations of z with ones on the diagonal and less than 1 elsewhere, shape (..., N, N).

    Returns:
        P(r voters are right), shape (..., N + 1).
    """
    voters = chances.shape[-1]
    if voters == 1:
        return independent_counts(chances)
    if voters > 3:
        return _sampled_counts(chances, correlation)
    limits = _limits(chances)
    pairs = [(i, j) for i in range(voters) for j in range(i)]
    ones = chances.sum(axis=-1)
    twos = np.sum([_both(limits[..., i], limits[..., j], correlation[..., i, j]) for i, j in pairs], axis=0)
    if voters == 2:
        return np.stack([1.0 - ones + twos, ones - 2.0 * twos, twos], axis=-1)
    threes = _all_three(limits, correlation)
    return np.stack(
        [1.0 - ones + twos - threes, ones - 2.0 * twos + 3.0 * threes, twos - 3.0 * threes, threes], axis=-1
    )


def _limits(chances: FloatArray) -> FloatArray:
    """The z below which a voter is right; chances are clipped to [1e-12, 1 - 1e-12]."""
    from scipy.special import ndtri  # type: ignore[import-untyped]  # scipy ships no type information

    limits: FloatArray = ndtri(np.clip(chances, 1e-12, 1.0 - 1e-12))
    return limits


def _both(a: FloatArray, b: FloatArray, rho: FloatArray) -> FloatArray:
    """P(z_1 < a, z_2 < b): the product, plus the density integrated over the correlation from 0 to rho = sin(theta)."""
    from scipy.special import ndtr

    top = np.arcsin(rho)[..., None]
    angle = top * _NODES
    power = 0.5 * (a**2 + b**2)[..., None] - (a * b)[..., None] * np.sin(angle)
    height = np.exp(-power / np.cos(angle) ** 2)
    result: FloatArray = ndtr(a) * ndtr(b) + (top * height * _WEIGHTS).sum(axis=-1) / (2.0 * np.pi)
    return result


def _all_three(limits: FloatArray, correlation: FloatArray) -> FloatArray:
    """P(z_1 < a_1, z_2 < a_2, z_3 < a_3): the product, plus its slope as all correlations grow from 0 to full size."""
    from scipy.special import ndtr

    total: FloatArray = ndtr(limits).prod(axis=-1)
    for i, j, k in ((0, 1, 2), (0, 2, 1), (1, 2, 0)):
        a, b, c = (limits[..., voter, None] for voter in (i, j, k))
        ab, ac, bc = (correlation[..., x, y, None] * _NODES for x, y in ((i, j), (i, k), (j, k)))
        rest = 1.0 - ab**2
        density = np.exp(-0.5 * (a**2 + b**2 - 2.0 * ab * a * b) / rest) / (2.0 * np.pi * np.sqrt(rest))
        mean = ((ac - bc * ab) * a + (bc - ac * ab) * b) / rest
        variance = (rest - ac**2 - bc**2 + 2.0 * ab * ac * bc) / rest
        slope = correlation[..., i, j, None] * density * ndtr((c - mean) / np.sqrt(variance))
        total = total + (slope * _WEIGHTS).sum(axis=-1)
    return total


def _sampled_counts(chances: FloatArray, correlation: FloatArray) -> FloatArray:
    """Average, over fixed points, of the distribution given the shared part: then voters are independent.

    z = root * shared + sqrt(spare) * own, where `spare` is subtracted from the diagonal of the correlation.
    """
    from scipy.special import ndtr, ndtri
    from scipy.stats import qmc  # type: ignore[import-untyped]  # same

    voters = chances.shape[-1]
    spare = 0.999 * np.linalg.eigvalsh(correlation)[..., :1]
    root = np.linalg.cholesky(correlation - spare[..., None] * np.eye(voters))
    points = ndtri(qmc.Sobol(voters, scramble=False).random(SAMPLES) + 0.5 / SAMPLES)
    laws = np.empty((*chances.shape[:-1], voters + 1))
    for profile in np.ndindex(chances.shape[:-1]):  # one at a time, since each needs many points
        below = (_limits(chances[profile]) - points @ root[profile].T) / np.sqrt(spare[profile])
        laws[profile] = independent_counts(ndtr(below)).mean(axis=0)
    return laws
