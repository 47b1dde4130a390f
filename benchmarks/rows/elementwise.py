"""Elementwise rows: memory speed, and the speed of elementary functions."""

from __future__ import annotations

import numpy as np

from benchmarks.rows import Program, row

M = 1 << 20


def normal(seed: int, *shape: int) -> np.ndarray:
    """Standard normal float32, the same in every library."""
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


def uniform(seed: int, low: float, high: float, *shape: int) -> np.ndarray:
    """Uniform float32 in [low, high)."""
    unit = np.random.default_rng(seed).random(shape, dtype=np.float32)
    return unit * np.float32(high - low) + np.float32(low)


@row("axpy", "2x + y, 16M", nbytes=3 * 64 * M, flops=32 * M, numpy=True)
def axpy(lib):
    x, y = normal(0, 16 * M), normal(1, 16 * M)
    return Program(lambda x, y: 2.0 * x + y, (x, y))


@row("black_scholes", "call price, 4M options", nbytes=4 * 16 * M, flops=4 * 60 * M, numpy=True)
def black_scholes(lib):
    np_ = lib.np

    def price(spot, strike, years):
        rate, sigma = 0.03, 0.2
        deviation = sigma * np_.sqrt(years)
        d1 = (np_.log(spot / strike) + (rate + 0.5 * sigma * sigma) * years) / deviation
        d2 = d1 - deviation
        cdf = lambda d: 0.5 * (1.0 + lib.erf(d * 0.7071067811865476))
        return spot * cdf(d1) - strike * np_.exp(-rate * years) * cdf(d2)

    n = 4 * M
    args = (uniform(0, 80, 120, n), uniform(1, 80, 120, n), uniform(2, 0.1, 2, n))
    return Program(price, args)


@row("grad_chain", "grad(sum(sin x exp(-x^2) + tanh x sigmoid x)), 4M", nbytes=8 * 4 * M,
     flops=4 * 80 * M)  # fmt: skip
def grad_chain(lib):
    np_ = lib.np

    def f(x):
        return (np_.sin(x) * np_.exp(-x * x) + np_.tanh(x) * lib.nn.sigmoid(x)).sum()

    return Program(lib.grad(f), (normal(0, 4 * M),))


@row("gelu_bias", "gelu(x + b), 4096x1024", nbytes=8 * 4 * M, flops=4 * 25 * M)
def gelu_bias(lib):
    return Program(lambda x, b: lib.nn.gelu(x + b), (normal(0, 4096, 1024), normal(1, 1024)))
