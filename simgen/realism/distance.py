"""Weighted values of one statistic, and how far two sets of them are apart."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Values:
    """Numbers and their weights, which sum to 1; both (n,) float64, sorted by number."""

    numbers: np.ndarray
    weights: np.ndarray

    @classmethod
    def gather(cls, parts: list[tuple[np.ndarray, float]]) -> "Values":
        """One tile's numbers share that tile's weight; what was not measured (NaN) is left out.

        Raises: ValueError if nothing was measured.
        """
        kept = [(part[np.isfinite(part)], weight) for part, weight in parts]
        kept = [(part, weight) for part, weight in kept if part.size and weight > 0]
        numbers = np.concatenate([part for part, _ in kept]).astype(np.float64)
        weights = np.concatenate([np.full(p.size, weight / p.size) for p, weight in kept])
        order = np.argsort(numbers, kind="stable")
        return cls(numbers[order], weights[order] / weights.sum())

    @property
    def mean(self) -> float:
        return float(self.weights @ self.numbers)

    @property
    def spread(self) -> float:
        return float(np.sqrt(self.weights @ (self.numbers - self.mean) ** 2))


def wasserstein(a: Values, b: Values) -> float:
    """1-Wasserstein (earth mover's) distance, in the values' own unit: area between both CDFs.

    Source: Vallender 1974, Theory Probab. Appl. 18(4):784-786.
    """
    at = np.sort(np.concatenate([a.numbers, b.numbers]))
    below_a, below_b = (
        np.concatenate([[0.0], np.cumsum(v.weights)])[
            np.searchsorted(v.numbers, at[:-1], side="right")
        ]
        for v in (a, b)
    )
    return float(np.abs(below_a - below_b) @ np.diff(at))
