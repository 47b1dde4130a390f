"""Extra rows: convolutions of many kinds with both gradients, pooling and its gradient."""

from __future__ import annotations

import numpy as np

from benchmarks.rows import Program, row
from benchmarks.rows.elementwise import normal

NHWC, NCHW = ("NHWC", "HWIO", "NHWC"), ("NCHW", "OIHW", "NCHW")


def convolution(name: str, image: tuple[int, ...], kernel: tuple[int, ...], dims=NHWC, **options):
    """Rows conv_NAME, conv_NAME_dx and conv_NAME_dw: one convolution and its two gradients."""
    strides = options.get("strides", (1, 1))

    def conv(lib, x, w):
        return lib.lax.conv_general_dilated(
            x, w, strides, options.get("padding", "SAME"),
            lhs_dilation=options.get("lhs_dilation"), rhs_dilation=options.get("rhs_dilation"),
            feature_group_count=options.get("groups", 1), dimension_numbers=dims,
        )  # fmt: skip

    args = lambda: (normal(0, *image), normal(1, *kernel))
    what = f"{image} by {kernel} {options or ''}"

    @row(f"conv_{name}", what, extra=True, tolerance=1e-3)
    def forward(lib):
        return Program(lambda x, w: conv(lib, x, w), args())

    for place, side in enumerate(("dx", "dw")):

        @row(f"conv_{name}_{side}", f"{what}, {side}", extra=True, tolerance=1e-3)
        def gradient(lib, place=place):
            return Program(lib.grad(lambda x, w: (conv(lib, x, w) ** 2).sum(), place), args())


convolution("1x1", (32, 28, 28, 64), (1, 1, 64, 128))
convolution("3x3", (32, 28, 28, 64), (3, 3, 64, 64))
convolution("3x3_nchw", (32, 64, 28, 28), (64, 64, 3, 3), NCHW)
convolution("1x1_nchw", (32, 64, 28, 28), (128, 64, 1, 1), NCHW)
convolution("few_channels", (16, 64, 64, 3), (7, 7, 3, 32), strides=(2, 2))
convolution("to_few_channels", (16, 64, 64, 32), (3, 3, 32, 3))
convolution("strided", (32, 28, 28, 64), (3, 3, 64, 64), strides=(2, 2))
convolution("dilated", (32, 28, 28, 64), (3, 3, 64, 64), rhs_dilation=(2, 2))
convolution("transposed", (32, 14, 14, 64), (3, 3, 64, 32), lhs_dilation=(2, 2),
            padding=((1, 2), (1, 2)))  # fmt: skip
convolution("depthwise", (32, 28, 28, 64), (3, 3, 1, 64), groups=64)
convolution("depthwise_nchw", (32, 64, 28, 28), (64, 1, 3, 3), NCHW, groups=64)
convolution("grouped", (32, 28, 28, 64), (3, 3, 16, 64), groups=4)
convolution("grouped_small", (32, 28, 28, 64), (3, 3, 2, 64), groups=32)


def pooling(name: str, what: str, pool) -> None:
    """Rows pool_NAME and pool_NAME_grad for a function of lib and an image batch, NHWC."""
    shape = (32, 56, 56, 32)

    @row(f"pool_{name}", f"{what}, {shape}", extra=True, tolerance=1e-3)
    def forward(lib):
        return Program(lambda x: pool(lib, x), (normal(0, *shape),))

    @row(f"pool_{name}_grad", f"{what}, gradient, {shape}", extra=True, tolerance=1e-3)
    def gradient(lib):
        return Program(lib.grad(lambda x: (pool(lib, x) ** 2).sum()), (normal(0, *shape),))


def windows(size: int, step: int, maximum: bool, padding: str = "VALID"):
    """Pooling over square windows."""

    def pool(lib, x):
        zero, fold = (-np.inf, lib.lax.max) if maximum else (0.0, lib.lax.add)
        return lib.lax.reduce_window(x, zero, fold, (1, size, size, 1), (1, step, step, 1), padding)

    return pool


pooling("max_2", "max over 2x2", windows(2, 2, True))
pooling("max_3_overlapping", "max over 3x3 by steps of 2", windows(3, 2, True, "SAME"))
pooling("mean_2", "sum over 2x2", windows(2, 2, False))
pooling("mean_7", "sum over 7x7 by steps of 1", windows(7, 1, False, "SAME"))
