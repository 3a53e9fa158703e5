"""Defines how likely a simulated executor is right at each (T, p), and makes the draw that decides it.

For a problem of kind k with its peak at (T_k, p_k),

    chance(k, (T, p)) = floor + (peak - floor) * exp(-d^2 / 2),
    d^2 = ((T - T_k) / width_t)^2 + ((p - p_k) / width_p)^2,

so d is measured in widths, which are shares of the controls' ranges: in units of its bounds, the game is always the
same. A reply is right when Phi(z) < chance, where z is standard normal: the chance holds exactly for any coupling. With
`coupling` c > 0,

    z = sqrt(c) * shared(T, p) + sqrt(1 - c) * own,

`own` depends on question and seed; `shared` is a smooth random field over the controls that all executors of a round
have in common. Two executors of a round whose controls lie d widths apart have
corr(z, z') = c * exp(-d^2 / (2 * coupling_length^2)): equal controls fail together, distant ones independently. A
majority of independent voters is better than a majority of copies, so executors gain by spreading around the peak.

Each request is decided on its own, so it must identify its shared field: requests for one question whose seeds lie in
the same block of `SEED_BLOCK` numbers share a field. The executors of a round have consecutive seeds (a common one plus
their index), so they nearly always share one; other rounds and episodes have other seeds, and so other fields.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Self

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from econ_env.config import SamplingConfig, Settings
from econ_env.llm.seeding import derive_seed

FloatArray = npt.NDArray[np.float64]

SEED_BLOCK = 2**16
"""Seeds s and s' share a field when s // SEED_BLOCK == s' // SEED_BLOCK."""

_STEP = 0.5
"""Lattice spacing of the field in coupling lengths; here the correlation is off by less than 1e-7."""
_REACH = 3.0
"""How far, in coupling lengths, the lattice goes beyond the bounds of the controls."""
_NORMAL = NormalDist()


def unit_draw(*parts: str | int) -> float:
    """A number in (0, 1), uniform over the parts and a pure function of them."""
    return (derive_seed(*parts) + 0.5) / 2**31


class Landscape(Settings):
    """Chance of a right answer over the controls, and the draw that decides each reply.

    Examples:
        >>> landscape = Landscape(peaks={"shop": (0.5, 1.1)})
        >>> float(landscape.chance("shop", (0.5, 1.1)))
        0.93
    """

    peaks: dict[str, tuple[float, float]] = Field(default_factory=dict)
    """The best (T, p) of each kind; for a kind without an entry it follows from the kind's name."""
    sampling: SamplingConfig = SamplingConfig()
    """Bounds of the controls, and the meaning of p."""
    peak: float = Field(0.93, gt=0.0, le=1.0)
    """Chance of a right answer at the peak."""
    floor: float = Field(0.02, ge=0.0, lt=1.0)
    """Chance of a right answer far from it."""
    width_t: float = Field(0.2, gt=0.0)
    """Width in T, as a share of its range: this far from the peak the chance has lost 39% of its height above the
    floor."""
    width_p: float = Field(0.32, gt=0.0)
    """Width in p, as a share of its range."""
    wrong_answers: int = Field(3, ge=1, le=20)
    """How many wrong answers a problem has; a wrong executor gives each with the same chance, by its seed."""
    coupling: float = Field(0.0, ge=0.0, le=0.95)
    """Correlation of the draws of two executors with equal controls; 0 makes all executors independent."""
    coupling_length: float = Field(0.2, ge=0.05)
    """How fast that correlation falls with distance, in widths."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.floor >= self.peak:
            raise ValueError(f"floor must be below peak, got {self.floor} and {self.peak}")
        low, high = self.bounds
        for kind, place in self.peaks.items():
            if not (low <= place).all() or not (place <= high).all():
                raise ValueError(f"the peak {place} of kind {kind!r} lies outside the bounds of the controls")
        return self

    @property
    def bounds(self) -> tuple[FloatArray, FloatArray]:
        """Lowest and highest (T, p), two arrays of shape (2,)."""
        p_min, p_max = self.sampling.p_bounds
        return (
            np.array([self.sampling.temperature_min, p_min]),
            np.array([self.sampling.temperature_max, p_max]),
        )

    @property
    def widths(self) -> FloatArray:
        """Both widths in the units of the controls, shape (2,)."""
        low, high = self.bounds
        return np.array([self.width_t, self.width_p]) * (high - low)

    def peak_of(self, kind: str) -> FloatArray:
        """The best (T, p) of a kind, shape (2,).

        For a kind without an entry in `peaks` it follows from the kind's name alone, not from the other kinds, and lies
        in the inner 70% of the bounds.
        """
        if kind in self.peaks:
            return np.array(self.peaks[kind])
        low, high = self.bounds
        place = np.array([unit_draw("peak of T", kind), unit_draw("peak of p", kind)])
        return low + (high - low) * (0.15 + 0.7 * place)

    def chance(self, kind: str, controls: npt.ArrayLike) -> FloatArray:
        """Chance of a right answer, in [floor, peak].

        Args:
            kind: The problem's kind.
            controls: (T, p), shape (..., 2).

        Returns:
            Shape (...).
        """
        off = (np.asarray(controls, dtype=np.float64) - self.peak_of(kind)) / self.widths
        height: FloatArray = np.exp(-0.5 * (off**2).sum(axis=-1))
        return self.floor + (self.peak - self.floor) * height

    def correlation(self, first: npt.ArrayLike, second: npt.ArrayLike) -> FloatArray:
        """Correlation of the draws z of two different executors of one round.

        Args:
            first: (T, p) of the one, shape (..., 2).
            second: (T, p) of the other, same shape.

        Returns:
            Shape (...), in [0, coupling].
        """
        apart = (np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64)) / self.widths
        fall: FloatArray = np.exp(-0.5 * (apart**2).sum(axis=-1) / self.coupling_length**2)
        return self.coupling * fall

    def is_right(self, question: str, kind: str, controls: tuple[float, float], seed: int) -> bool:
        """Whether the executor with this seed and these controls solves the problem.

        A pure function. With a fixed seed and no coupling, an executor that is right at some chance is also right at
        every higher chance.

        Args:
            question: The problem's question.
            kind: Its kind.
            controls: (T, p).
            seed: The request's seed, 0 <= seed < 2**31.
        """
        z = _NORMAL.inv_cdf(unit_draw("own", question, seed))
        if self.coupling > 0.0:
            shared = self._shared(question, seed // SEED_BLOCK, controls)
            z = math.sqrt(self.coupling) * shared + math.sqrt(1.0 - self.coupling) * z
        return _NORMAL.cdf(z) < float(self.chance(kind, controls))

    def _shared(self, question: str, block: int, controls: tuple[float, float]) -> float:
        """The field at the controls: white noise on a lattice, averaged with Gaussian weights of unit norm.

        A weight exp(-x^2) at x coupling lengths makes the correlation exp(-x^2 / 2): convolved Gaussians are Gaussian.
        """
        low, high = self.bounds
        unit = self.widths * self.coupling_length
        place = (np.clip(controls, low, high) - low) / unit
        weights_t, weights_p = (
            np.exp(-((np.arange(-_REACH, end + _REACH, _STEP) - at) ** 2))
            for at, end in zip(place, (high - low) / unit, strict=True)
        )
        noise = np.random.default_rng(derive_seed("shared", question, block)).standard_normal(
            (weights_t.size, weights_p.size)
        )
        norm = math.sqrt(float((weights_t**2).sum() * (weights_p**2).sum()))
        return float(weights_t @ noise @ weights_p) / norm
