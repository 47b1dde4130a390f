"""Normalisations with explicit parameters and state: layer, batch, group and instance norm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from fx import lax
from fx import numpy as fnp

__all__ = [
    "BatchNormState",
    "batch_norm",
    "group_norm",
    "init_batch_norm",
    "instance_norm",
    "layer_norm",
    "rms_norm",
]


def _standard(x: Any, axes: tuple[int, ...], eps: float) -> Any:
    """Zero mean and unit variance over axes, in two passes."""
    center = fnp.mean(x, axes, keepdims=True)
    difference = x - center
    variance = fnp.mean(difference * difference, axes, keepdims=True)
    return difference * lax.rsqrt(variance + eps)


def _affine(x: Any, weight: Any, bias: Any, shape: tuple[int, ...]) -> Any:
    if weight is not None:
        x = x * fnp.asarray(weight).reshape(shape)
    if bias is not None:
        x = x + fnp.asarray(bias).reshape(shape)
    return x


def layer_norm(
    x: Any,
    weight: Any = None,
    bias: Any = None,
    *,
    axis: int | Sequence[int] = -1,
    eps: float = 1e-5,
) -> Any:
    """Normalised over `axis`, then weight * . + bias with the shape of those axes.

    Mean and variance (not the unbiased one) in two passes (Ba et al. 2016). The shape stays.
    """
    x = fnp.asarray(x)
    axes = tuple(k % x.ndim for k in ((axis,) if isinstance(axis, int) else axis))
    shape = tuple(s if k in axes else 1 for k, s in enumerate(x.shape))
    return _affine(_standard(x, axes, eps), weight, bias, shape)


def rms_norm(x: Any, weight: Any = None, *, axis: int = -1, eps: float = 1e-6) -> Any:
    """x / sqrt(mean(x^2) + eps) along an axis, times weight.

    weight broadcasts against x (Zhang, Sennrich 2019). No mean is taken off.
    """
    x = fnp.asarray(x)
    out = x * lax.rsqrt(fnp.mean(x * x, axis, keepdims=True) + eps)
    return out if weight is None else out * weight


def _channels(x: Any, channel: int) -> tuple[int, ...]:
    return tuple(s if k == channel % x.ndim else 1 for k, s in enumerate(x.shape))


def group_norm(
    x: Any, groups: int, weight: Any = None, bias: Any = None, *, eps: float = 1e-5
) -> Any:
    """[n, c, *space] normalised over each sample's groups of channels; weight and bias per channel.

    The variance is the biased one (Wu, He 2018). ValueError where the channels do not divide.
    """
    x = fnp.asarray(x)
    n, c = x.shape[:2]
    if c % groups:
        raise ValueError(f"group_norm: {c} channels do not divide into {groups} groups")
    grouped = x.reshape((n, groups, -1))
    out = _standard(grouped, (2,), eps).reshape(x.shape)
    return _affine(out, weight, bias, _channels(x, 1))


def instance_norm(x: Any, weight: Any = None, bias: Any = None, *, eps: float = 1e-5) -> Any:
    """[n, c, *space] normalised over the space of each sample and channel.

    The biased variance (Ulyanov et al. 2016); weight and bias [c].
    """
    x = fnp.asarray(x)
    out = _standard(x, tuple(range(2, x.ndim)), eps)
    return _affine(out, weight, bias, _channels(x, 1))


class BatchNormState(NamedTuple):
    """What batch normalisation remembers: running mean and variance, each [channels].

    Floats of the parameters' dtype; `mean` starts at 0, `var` at 1.
    """

    mean: Any
    var: Any


def init_batch_norm(channels: int, dtype: Any = None) -> BatchNormState:
    """The state before the first batch: mean 0, variance 1.

    dtype: float32 unless given (float64 under enable_x64).
    """
    return BatchNormState(fnp.zeros(channels, dtype), fnp.ones(channels, dtype))


def batch_norm(
    x: Any,
    state: BatchNormState | None = None,
    weight: Any = None,
    bias: Any = None,
    *,
    training: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
    channel: int = 1,
) -> Any:
    """Normalised per channel: over the batch in training, by the running state otherwise.

    Returns (y, new state); the state's variance is the unbiased one. Without a state only y is
    returned.
    new state = (1 - momentum) old + momentum batch's (Ioffe, Szegedy 2015); it has no derivative. x
    by its own biased variance. ValueError for evaluation without a state.
    """
    x = fnp.asarray(x)
    channel = channel % x.ndim if x.ndim > 1 else 0
    axes = tuple(k for k in range(x.ndim) if k != channel) if x.ndim > 1 else (0,)
    shape = _channels(x, channel) if x.ndim > 1 else (1,)
    if not training:
        if state is None:
            raise ValueError("batch_norm: evaluation needs the running state")
        center, variance = state.mean.reshape(shape), state.var.reshape(shape)
        out = (x - center) * lax.rsqrt(variance + eps)
        return _affine(out, weight, bias, shape), state
    out = _affine(_standard(x, axes, eps), weight, bias, shape)
    if state is None:
        return out
    count = x.size // state.mean.size
    center, variance = fnp.mean(x, axes), fnp.var(x, axes) * (count / max(count - 1, 1))
    new = BatchNormState(
        *(
            (1 - momentum) * old + momentum * lax.stop_gradient(fresh).reshape(old.shape)
            for old, fresh in zip(state, (center, variance))
        )
    )
    return out, new
