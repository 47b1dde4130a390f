"""Reductions, row-wise normalisations, scans along an axis."""

from __future__ import annotations

from benchmarks.rows import Program, row
from benchmarks.rows.elementwise import M, normal


@row("sum", "all of 16M", nbytes=64 * M, flops=16 * M, numpy=True, tolerance=1e-3)
def sum_all(lib):
    return Program(lambda x: lib.np.sum(x), (normal(0, 16 * M),))


@row("softmax", "rows of 1024, 8192 of them", nbytes=8 * 8 * M, flops=8 * 15 * M)
def softmax(lib):
    return Program(lambda x: lib.nn.softmax(x, axis=-1), (normal(0, 8192, 1024),))


def layer_norm(lib, x, gain, bias):
    """Normalises the last axis."""
    mean = x.mean(-1, keepdims=True)
    centred = x - mean
    variance = (centred * centred).mean(-1, keepdims=True)
    return centred * lib.lax.rsqrt(variance + 1e-5) * gain + bias


@row("layernorm", "forward, 8192x768", nbytes=8 * 6 * M, flops=6 * 8 * M)
def layernorm(lib):
    args = (normal(0, 8192, 768), normal(1, 768), normal(2, 768))
    return Program(lambda x, g, b: layer_norm(lib, x, g, b), args)


@row("layernorm_grad", "grad of the sum of squares by x, g and b, 8192x768",
     nbytes=8 * 6 * M, flops=6 * 20 * M, tolerance=1e-3)  # fmt: skip
def layernorm_grad(lib):
    def loss(x, g, b):
        return (layer_norm(lib, x, g, b) ** 2).sum()

    args = (normal(0, 8192, 768), normal(1, 768), normal(2, 768))
    return Program(lib.grad(loss, argnums=(0, 1, 2)), args)


@row("argmax_cumsum", "argmax and cumsum, last axis, 2048x1024", nbytes=8 * 2 * M,
     flops=2 * 2 * M, numpy=True)  # fmt: skip
def argmax_cumsum(lib):
    np_ = lib.np
    return Program(lambda x: (np_.argmax(x, axis=-1), np_.cumsum(x, axis=-1)),
                   (normal(0, 2048, 1024),))  # fmt: skip
