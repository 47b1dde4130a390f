"""fx.nn: products of matrices whose blocks have scales of their own (micro-scaling formats)."""

from __future__ import annotations

from typing import Any

import numpy as np

from fx.lax import dot_general
from fx.numpy import asarray, einsum, repeat
from fx.numpy.creation import as_dtype

__all__ = ["scaled_dot_general", "scaled_matmul"]


def scaled_matmul(
    lhs: Any, rhs: Any, lhs_scales: Any, rhs_scales: Any, preferred_element_type: Any = np.float32
) -> Any:
    """out[b, m, n] = sum_k lhs[b, m, k] s[b, m, k // block] rhs[b, n, k] t[b, n, k // block].

    lhs [b, m, k], rhs [b, n, k]; lhs_scales [b, m, k / block], rhs_scales [b, n, k / block]. The
    product is computed in float32. Raises ValueError for shapes that do not belong together.
    The result has preferred_element_type, float32 by default.
    """
    a, b, s, t = map(asarray, (lhs, rhs, lhs_scales, rhs_scales))
    shapes = (
        f"lhs {a.shape}, rhs {b.shape}, lhs_scales {s.shape} and rhs_scales {t.shape}; wanted are "
        "[b, m, k], [b, n, k], [b, m, k / block] and [b, n, k / block]"
    )
    if not all(x.ndim == 3 for x in (a, b, s, t)):
        raise ValueError(f"scaled_matmul requires all inputs to be 3-dimensional, got {shapes}")
    if a.shape[::2] != b.shape[::2] or s.shape[::2] != t.shape[::2] or a.shape[0] != s.shape[0]:
        raise ValueError(f"scaled_matmul requires equal batch and contracted sizes, got {shapes}")
    if a.shape[1] != s.shape[1] or b.shape[1] != t.shape[1]:
        raise ValueError(f"scaled_matmul requires scales of each row of lhs and rhs, got {shapes}")
    k, blocks = a.shape[2], s.shape[2]
    if not blocks or k % blocks:
        raise ValueError(f"scaled_matmul requires scales that divide k, got {shapes}")
    full = [
        x.astype(np.float32) * repeat(scale.astype(np.float32), k // blocks, axis=-1)
        for x, scale in ((a, s), (b, t))
    ]
    return einsum("bmk,bnk->bmn", *full).astype(as_dtype(preferred_element_type))


def scaled_dot_general(
    lhs: Any,
    rhs: Any,
    dimension_numbers: Any,
    preferred_element_type: Any = np.float32,
    configs: Any = None,
    implementation: Any = None,
) -> Any:
    """dot_general in preferred_element_type, as JAX's without `configs`.

    configs: scalings of blocks, which need a device with such formats; given, they raise
    NotImplementedError (`scaled_matmul` multiplies blocks that have been scaled).
    """
    if configs is not None:
        raise NotImplementedError(
            "scaled_dot_general with configs is not implemented: scale the blocks and use "
            "fx.nn.scaled_matmul"
        )
    return dot_general(
        lhs, rhs, dimension_numbers, preferred_element_type=as_dtype(preferred_element_type)
    )
