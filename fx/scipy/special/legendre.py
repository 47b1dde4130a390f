"""Tables of associated Legendre functions: recurrences in the degree, all orders at once."""

from __future__ import annotations

from math import pi
from typing import Any

import numpy as np

from fx import numpy as fnp

__all__ = ["lpmn_values"]


def lpmn_values(m: int, n: int, z: Any, is_normalized: bool) -> Any:
    """The associated Legendre functions P_l^k(z) of degrees l up to n and orders k up to m.

    With the phase (-1)^k; normalised they are those of spherical harmonics, with the factor
    sqrt((2l + 1) / (4 pi) (l - k)! / (l + k)!). z: floats [points] in [-1, 1]; the result is
    [m + 1, n + 1, points], zero where the order is above the degree. m and n must be equal, else
    NotImplementedError; TypeError where z holds no floats, ValueError where it has not one axis.
    Upwards in the degree, which is stable (Press et al., Numerical Recipes, section 6.7).

    >>> lpmn_values(1, 1, fnp.array([0.0, 0.6]), False).round(3).tolist()[1]
    [[0.0, 0.0], [-1.0, -0.800000011920929]]
    """
    top, z = int(m), fnp.asarray(z)
    if m != n:
        raise NotImplementedError(f"lpmn_values: m and n must be equal, got {m} and {n}.")
    if z.dtype.kind != "f":
        raise TypeError(f"lpmn_values: z must hold floats, got {z.dtype.name}.")
    if z.ndim != 1:
        raise ValueError(f"lpmn_values: z must have one axis, got shape {z.shape}.")
    orders = np.arange(top + 1)
    sine = fnp.sqrt((1 - z) * (1 + z))
    diagonal = fnp.ones_like(z) * (np.sqrt(0.25 / pi) if is_normalized else 1.0)
    rows = [_first_of(diagonal, top + 1)]
    for degree in range(1, top + 1):
        below = orders[:degree]
        if is_normalized:
            factor = np.sqrt(1 + 0.5 / degree)
            one = np.sqrt((4 * degree**2 - 1) / (degree**2 - below**2))
            two = one * np.sqrt(((degree - 1) ** 2 - below**2) / max(4 * (degree - 1) ** 2 - 1, 1))
        else:
            factor = 2 * degree - 1
            one, two = (2 * degree - 1) / (degree - below), (degree + below - 1) / (degree - below)
        diagonal = -factor * sine * diagonal
        row = _column(one, z) * z * rows[-1][:degree]
        if degree > 1:
            row = row - _column(two, z) * rows[-2][:degree]
        rows.append(fnp.concatenate([row, _first_of(diagonal, top + 1 - degree)]))
    return fnp.stack(rows, axis=1)


def _column(numbers: np.ndarray, like: Any) -> np.ndarray:
    return numbers.astype(like.dtype)[:, None]


def _first_of(row: Any, count: int) -> Any:
    """The row, and zeros below it."""
    return fnp.pad(row[None], ((0, count - 1), (0, 0)))
