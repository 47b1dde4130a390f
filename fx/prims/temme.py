"""The incomplete gamma functions of large parameters: Temme's uniform expansion.

With mu = x/a - 1 and eta^2/2 = mu - log(1 + mu), of mu's sign (DLMF 8.12),
Q(a, x) = erfc(eta sqrt(a/2)) / 2 + E sum_k c_k(eta) / a^k, E = exp(-a eta^2/2) / sqrt(2 pi a).
It takes a fixed number of terms where series and fractions take sqrt(a) steps, and subtracts no
large logarithms. Written on the namespaces of series.py.
"""

from __future__ import annotations

import math
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np

LEAST = 20
"""The least a of the expansion; `NEAR` is the largest |mu|, where |eta| is below 0.34."""
NEAR = 0.3


@cache
def coefficients(terms: int, order: int) -> tuple[tuple[float, ...], ...]:
    """c_0 .. c_(terms-1), each as the coefficients of eta^0 .. eta^(order-1).

    mu mu' = eta (1 + mu) gives mu's series, that gives 1/mu's, and c_0 = 1/mu - 1/eta; then
    c_k = c_(k-1)' / eta - c / mu, with the number c for which nothing of 1/eta is left.
    """
    size = order + 2 * terms
    mu: list[Any] = [Fraction(0), Fraction(1)]
    for n in range(2, size + 2):
        products = sum(mu[i] * mu[n + 1 - i] for i in range(2, n))
        mu.append((Fraction(2, n + 1) * mu[n - 1] - products) / 2)
    inverse: list[Any] = [Fraction(1)]  # of eta / mu
    for n in range(1, size + 1):
        inverse.append(-sum(mu[i + 1] * inverse[n - i] for i in range(1, n + 1)))
    over_mu = inverse[1:]
    rows = [over_mu]
    for _ in range(1, terms):
        last = rows[-1]
        rows.append([(n + 2) * last[n + 2] - last[1] * over_mu[n] for n in range(len(last) - 2)])
    return tuple(tuple(float(c) for c in row[:order]) for row in rows)


def _horner(x: Any, numbers: Any) -> Any:
    *rest, total = numbers
    for c in reversed(rest):
        total = c + x * total
    return total


class Expansion:
    """What the expansion is made of at a and x: arrays of one shape, |x/a - 1| at most `NEAR`."""

    def __init__(self, ops: Any, a: Any, x: Any):
        double = a.dtype.itemsize == 8
        self.ops, self.a = ops, a
        mu = self.mu = (x - a) / a
        w = 1 / (2 + mu)
        s = mu * w  # log(1 + mu) = 2 artanh(s)
        odd = _horner(s * s, [1 / (2 * k + 3) for k in range(11 if double else 5)])
        self.part = w * (1 - 2 * w * s * odd)  # (mu - log(1 + mu)) / mu^2, near 1/2
        self.root = ops.sqrt(2 * self.part)  # eta / mu
        self.eta = mu * self.root
        self.exponent = a * (mu * mu * self.part)
        self.rows = coefficients(11, 17) if double else coefficients(5, 9)

    def front(self) -> Any:
        """E = exp(-a eta^2 / 2) / sqrt(2 pi a)."""
        return self.ops.exp(-self.exponent) / self.ops.sqrt(2 * math.pi * self.a)

    def tail(self, upper: bool) -> Any:
        """Q(a, x), or P(a, x): each without a difference from 1."""
        sign = 1.0 if upper else -1.0
        z = 1 / self.a
        total = _horner(z, [_horner(self.eta, row) for row in self.rows])
        half = 0.5 * self.ops.erfc(sign * (self.eta * self.ops.sqrt(0.5 * self.a)))
        return half + sign * (self.front() * total)

    def slope(self) -> Any:
        """-dQ/da = dP/da, divided by E.

        d(a eta^2/2)/da = -log(1 + mu) = -L, and deta/da = -(mu/eta)/a, so that E has the slope
        (L - 1/(2a)) E, and half of erfc that of E L/eta.
        """
        z = 1 / self.a
        log = self.mu * (1 - self.mu * self.part)
        values = [_horner(self.eta, row) for row in self.rows]
        slopes = [_horner(self.eta, [n * c for n, c in enumerate(row)][1:]) for row in self.rows]
        total = _horner(z, values)
        inner = _horner(z, [s / self.root + k * v for k, (s, v) in enumerate(zip(slopes, values))])
        by_eta = (1 - self.mu * self.part) / self.root
        return -(by_eta + (log - 0.5 * z) * total - z * inner)


def factor(ops: Any, a: Any, x: Any) -> Any:
    """x^a e^-x / Gamma(a) for a of at least `LEAST`: by Stirling's series, whose large parts
    cancel exactly, sqrt(a / 2 pi) exp(-a (mu - log(1 + mu)) - 1/(12 a) + ...).
    """
    near = ops.abs(x - a) <= NEAR * a
    inside = Expansion(ops, a, ops.where(near, x, a))
    ratio = x / a
    far = a * (ratio - 1 - ops.log(ops.where(near, 1.0, ratio)))
    exponent = ops.where(near, inside.exponent, far)
    return ops.exp(-exponent - stirling(a)) * ops.sqrt(a * (0.5 / np.pi))


def stirling(a: Any) -> Any:
    """lgamma(a) - (a - 1/2) log a + a - log(2 pi) / 2."""
    z = 1 / a
    return z * _horner(z * z, (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188))
