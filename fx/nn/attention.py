"""Scaled dot-product attention."""

from __future__ import annotations

from typing import Any

import numpy as np

from fx import numpy as fnp
from fx.nn.normal import softmax

__all__ = ["dot_product_attention"]


def dot_product_attention(
    query: Any,
    key: Any,
    value: Any,
    bias: Any = None,
    mask: Any = None,
    *,
    scale: float | None = None,
    is_causal: bool = False,
    query_seq_lengths: Any = None,
    key_value_seq_lengths: Any = None,
    local_window_size: int | tuple[int, int] | None = None,
    implementation: str | None = None,
    return_residual: bool = False,
) -> Any:
    """softmax(scale * Q K^T + bias) V for [batch, length, heads, width] (batch may be missing).

    key and value may have fewer heads than query: each then serves a group of heads. `mask` is
    True where attention is allowed; what is added to the scores, kept in float32, is `bias`.
    The result has the shape of query but value's width; the scale is 1 / sqrt(width) unless given
    (Vaswani et al. 2017). Masked scores are -2.4e38, so that a row without any place gets equal
    weights. return_residual adds the log of each row's sum, [batch, length, heads]. ValueError
    where shapes do not fit, for dtypes that differ, a mask that is not of booleans, and for an
    `implementation` that is neither "xla" nor "cudnn": both are the same here.
    """
    query, key, value = fnp.asarray(query), fnp.asarray(key), fnp.asarray(value)
    bias, mask = (None if x is None else fnp.asarray(x) for x in (bias, mask))
    shape = query.shape
    unbatched = query.ndim == 3
    if unbatched:
        query, key, value = query[None], key[None], value[None]
        bias, mask = (None if x is None else x[(None,) * (4 - x.ndim)] for x in (bias, mask))
    _check(query, key, value)
    _check_kinds(query, key, value, mask, implementation)
    b, t, n, h = query.shape
    s, k = key.shape[1], key.shape[2]
    width = 1.0 / np.sqrt(h) if scale is None else scale
    grouped = fnp.reshape(query, (b, t, k, n // k, h))
    scores = fnp.einsum("btkgh,bskh->bkgts", grouped, key, preferred_element_type=np.float32)
    scores = fnp.reshape(scores, (b, n, t, s)) * width
    if bias is not None:
        scores = scores + bias
    allowed = _allowed(
        t, s, mask, is_causal, query_seq_lengths, key_value_seq_lengths, local_window_size
    )
    if allowed is not None:
        lowest = float(np.finfo(np.float32).min) * 0.7
        scores = fnp.where(allowed, scores, lowest)
    weights = softmax(scores.astype(np.float32), axis=-1).astype(key.dtype)
    weights = fnp.reshape(weights, (b, k, n // k, t, s))
    out = fnp.reshape(fnp.einsum("bkgts,bskh->btkgh", weights, value), (b, t, n, value.shape[-1]))
    if query_seq_lengths is not None:
        inside = fnp.arange(t)[None, :] < fnp.asarray(query_seq_lengths)[:, None]
        out = fnp.where(inside[:, :, None, None], out, 0)
    if return_residual:
        from fx.nn.normal import logsumexp

        lse = fnp.moveaxis(logsumexp(scores, axis=-1), 1, 2)
        return out.reshape(shape), lse
    return out.reshape((*shape[:-1], value.shape[-1]))


def _check(query: Any, key: Any, value: Any) -> None:
    if not query.ndim == key.ndim == value.ndim == 4:
        raise ValueError(
            "dot_product_attention: query, key and value need 3 or 4 axes, got "
            f"{query.shape}, {key.shape}, {value.shape}"
        )
    if key.shape[:3] != value.shape[:3] or query.shape[0] != key.shape[0]:
        raise ValueError(
            f"dot_product_attention: key {key.shape} and value {value.shape} do not belong to "
            f"{query.shape}"
        )
    if query.shape[2] % key.shape[2]:
        raise ValueError(
            "dot_product_attention: the number of query heads must be a multiple of key/value "
            f"heads, but got {query.shape[2]} vs {key.shape[2]}"
        )
    if query.shape[3] != key.shape[3]:
        raise ValueError(
            f"dot_product_attention: widths of query {query.shape} and key {key.shape} do not fit"
        )


def _check_kinds(query: Any, key: Any, value: Any, mask: Any, implementation: Any) -> None:
    for name, x in (("value", value), ("query", query)):
        if x.dtype != key.dtype:
            raise ValueError(
                f"dot_product_attention: {name} dtype should be {key.dtype} as that of key, but "
                f"got {x.dtype}"
            )
    if mask is not None and mask.dtype != bool:
        raise ValueError(
            f"dot_product_attention: mask dtype should be bool, but got {mask.dtype}; what is "
            "added to the scores is given as bias"
        )
    if implementation not in (None, "xla", "cudnn"):
        raise ValueError(
            f"dot_product_attention: unsupported implementation {implementation!r}; use None, "
            "'xla' or 'cudnn'"
        )


def _allowed(
    t: int, s: int, mask: Any, causal: bool, query_lengths: Any, key_lengths: Any, window: Any
) -> Any:
    """Where attention is allowed, [b or 1, n or 1, t, s], or None where everywhere."""
    parts = [] if mask is None else [mask]
    row, col = fnp.arange(t)[:, None], fnp.arange(s)[None, :]
    if causal:
        parts.append((row >= col)[None, None])
    if window is not None:
        left, right = (window, window) if isinstance(window, int) else window
        parts.append(((row <= col + left) & (col <= row + right))[None, None])
    if query_lengths is not None:
        parts.append(
            (fnp.arange(t)[None, :] < fnp.asarray(query_lengths)[:, None])[:, None, :, None]
        )
    if key_lengths is not None:
        parts.append((fnp.arange(s)[None, :] < fnp.asarray(key_lengths)[:, None])[:, None, None, :])
    out = None
    for p in parts:
        out = p if out is None else out & p
    return out
