"""Matrix products with what stands around them, attention, convolution."""

from __future__ import annotations

import numpy as np

from benchmarks.rows import Program, row
from benchmarks.rows.elementwise import normal

G = 1e9


@row("matmul", "1024^3", nbytes=3 * 4 * 1024**2, flops=2 * 1024**3, numpy=True)
def matmul(lib):
    return Program(lambda a, b: a @ b, (normal(0, 1024, 1024), normal(1, 1024, 1024)))


@row("matmul_bias_gelu", "512x768 by 768x3072, bias, gelu", nbytes=4 * (512 * 3840 + 768 * 3072),
     flops=2 * 512 * 768 * 3072)  # fmt: skip
def matmul_bias_gelu(lib):
    args = (normal(0, 512, 768), normal(1, 768, 3072) * np.float32(0.03), normal(2, 3072))
    return Program(lambda x, w, b: lib.nn.gelu(x @ w + b), args)


@row("batched_matmul", "2048 of 16x16", nbytes=3 * 4 * 2048 * 256, flops=2 * 2048 * 16**3,
     numpy=True)  # fmt: skip
def batched_matmul(lib):
    return Program(lambda a, b: a @ b, (normal(0, 2048, 16, 16), normal(1, 2048, 16, 16)))


def attention(lib, q, k, v):
    """Causal attention over [batch, head, position, width]."""
    np_ = lib.np
    scores = np_.einsum("bhqd,bhkd->bhqk", q, k) * (1.0 / q.shape[-1] ** 0.5)
    steps = np_.arange(q.shape[2])
    scores = np_.where(steps[:, None] >= steps[None, :], scores, -1e30)
    return np_.einsum("bhqk,bhkd->bhqd", lib.nn.softmax(scores, axis=-1), v)


ATTENTION = 4 * 4 * 8 * 256 * 64
ATTENTION_FLOPS = 2 * 2 * 4 * 8 * 256 * 256 * 64


@row("attention", "forward, 4x8x256x64, causal", nbytes=4 * ATTENTION, flops=ATTENTION_FLOPS)
def attention_forward(lib):
    args = tuple(normal(i, 4, 8, 256, 64) for i in range(3))
    return Program(lambda q, k, v: attention(lib, q, k, v), args)


@row("attention_grad", "value and grad, 4x8x256x64, causal", nbytes=7 * ATTENTION,
     flops=3.5 * ATTENTION_FLOPS, tolerance=1e-3)  # fmt: skip
def attention_grad(lib):
    def loss(q, k, v):
        return (attention(lib, q, k, v) ** 2).sum()

    args = tuple(normal(i, 4, 8, 256, 64) for i in range(3))
    return Program(lib.grad(loss, argnums=(0, 1, 2)), args)


def pool(lib, x):
    """2x2 max pooling of [batch, height, width, channel]."""
    return lib.lax.reduce_window(x, -np.inf, lib.lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")


def cnn(lib, parameters, images):
    """conv 3x3x32, pool, conv 3x3x64, pool, dense 10."""
    kernel1, bias1, kernel2, bias2, weight, bias = parameters
    dims = ("NHWC", "HWIO", "NHWC")
    conv = lambda x, w: lib.lax.conv_general_dilated(x, w, (1, 1), "SAME", dimension_numbers=dims)
    x = pool(lib, lib.nn.relu(conv(images, kernel1) + bias1))
    x = pool(lib, lib.nn.relu(conv(x, kernel2) + bias2))
    return x.reshape(x.shape[0], -1) @ weight + bias


def cnn_arguments():
    """Parameters and a batch of 64 images."""
    shapes = ((3, 3, 1, 32), (32,), (3, 3, 32, 64), (64,), (7 * 7 * 64, 10), (10,))
    scales = (0.3, 0.1, 0.06, 0.1, 0.02, 0.1)
    parameters = [normal(i, *s) * np.float32(c) for i, (s, c) in enumerate(zip(shapes, scales))]
    return parameters, normal(9, 64, 28, 28, 1)


CNN_FLOPS = 2 * 64 * (28 * 28 * 9 * 32 + 14 * 14 * 9 * 32 * 64 + 3136 * 10)


@row("cnn", "forward, 64x28x28x1, two convolutions, two pools, dense",
     nbytes=4 * 64 * 28 * 28, flops=CNN_FLOPS)  # fmt: skip
def cnn_forward(lib):
    return Program(lambda p, x: cnn(lib, p, x), cnn_arguments())


@row("cnn_grad", "the same, gradient by the parameters", nbytes=4 * 64 * 28 * 28,
     flops=3 * CNN_FLOPS, tolerance=1e-3)  # fmt: skip
def cnn_grad(lib):
    def loss(parameters, images):
        return (cnn(lib, parameters, images) ** 2).mean()

    return Program(lib.grad(loss), cnn_arguments())
