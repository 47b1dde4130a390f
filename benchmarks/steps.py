"""Common steps of programs on arrays, each from an array to one of the same shape.

`planes` are steps of two axes, `volumes` of three or four; `compositions` puts them one after the
other. They are written as users write them, with what fx and JAX both have.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Step = Callable[[Any], Any]
Steps = dict[str, Step]


def planes(library: Any) -> Steps:
    """Steps on arrays of two axes, by name."""
    return {
        **_norms(library),
        **_maps(library),
        **_moves(library),
        **_joins(library),
        **_places(library),
        **_folds(library),
        **_orders(library),
        **_products(library),
        **_types(library),
    }


def volumes(library: Any) -> Steps:
    """Steps on arrays of three or four axes, by name; `each_` are those of planes under vmap."""
    chosen = (
        "normrow",
        "softmax0",
        "cumsum0",
        "roll",
        "flip1",
        "bn",
        "take",
        "tril",
        "sort",
        "pad",
    )
    plane = planes(library)
    each = {f"each_{name}": _each(library, plane[name]) for name in chosen}
    return {**_activations(library), **_blocks(library), **each}


def _each(library: Any, step: Step) -> Step:
    """The step for each plane of an array of three or four axes."""

    def f(x: Any) -> Any:
        g = step
        for _ in range(x.ndim - 2):
            g = library.vmap(g)
        return g(x)

    return f


# ---------------------------------------------------------------- planes


def _norms(library: Any) -> Steps:
    np, nn = library.np, library.nn
    return {
        "norm": lambda x: x / np.linalg.norm(x),
        "normrow": lambda x: x / np.linalg.norm(x, axis=1, keepdims=True),
        "normcol": lambda x: x / np.linalg.norm(x, axis=0),
        "center": lambda x: x - x.mean(),
        "centrow": lambda x: x - x.mean(1, keepdims=True),
        "centcol": lambda x: x - x.mean(0),
        "softmax": lambda x: nn.softmax(x),
        "softmax0": lambda x: nn.softmax(x, axis=0),
        "masked": lambda x: nn.softmax(np.where(x > 0, x, -1e9), axis=1),
        "lse": lambda x: x - nn.logsumexp(x, axis=1)[:, None],
        "standard": lambda x: nn.standardize(x, axis=1, epsilon=1e-5),
        "bn": lambda x: (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-5),
        "clipnorm": lambda x: x * np.minimum(1.0, 5.0 / np.sqrt((x**2).sum())),
        "minmax": lambda x: (x - x.min()) / (x.max() - x.min()),
        "rowmax": lambda x: x - x.max(1)[:, None],
        "scaled": lambda x: x / np.abs(x).max(0),
    }


def _maps(library: Any) -> Steps:
    np, nn = library.np, library.nn
    return {
        "where": lambda x: np.where(x > 0, x, 0.1 * x),
        "tanh": lambda x: np.tanh(x),
        "exp": lambda x: np.exp(-x * x),
        "gelu": lambda x: nn.gelu(x),
        "clip": lambda x: np.clip(x, -0.5, 0.5),
        "tril": lambda x: np.tril(x) + 0.1 * x,
        "mask": lambda x: np.where(np.arange(x.shape[1]) > np.arange(x.shape[0])[:, None], x, 0.0),
        "nan": lambda x: np.nan_to_num(np.where(x > 2, np.nan, x)),
    }


def _moves(library: Any) -> Steps:
    np = library.np

    def around(x: Any, mode: str) -> Any:
        y = np.pad(x, 1, mode=mode)
        return y[:-2, 1:-1] + y[2:, 1:-1] + y[1:-1, :-2] + y[1:-1, 2:] - 4 * x

    return {
        "T": lambda x: x.T,
        "T+": lambda x: x + x.T if x.shape[0] == x.shape[1] else x.T.reshape(x.shape) + x,
        "flip": lambda x: x[::-1],
        "flip1": lambda x: x[:, ::-1],
        "rot": lambda x: np.rot90(x, 2),
        "roll": lambda x: np.roll(x, 3, 1),
        "roll0": lambda x: np.roll(x, 3, 0) + x,
        "pad": lambda x: np.pad(x, ((1, 0), (0, 1)))[1:, :-1],
        "wrap": lambda x: 0.2 * around(x, "wrap"),
        "edge": lambda x: 0.2 * around(x, "edge"),
        "reflect": lambda x: 0.2 * around(x, "reflect"),
        "shift": lambda x: np.pad(x[:, :-2], ((0, 0), (2, 0))) + x,
        "diff": lambda x: np.diff(x, axis=1, append=0.0),
        "diff0": lambda x: np.diff(x, axis=0, prepend=x[:1]),
        "reshape": lambda x: x.reshape(x.shape[1], x.shape[0]),
        "stencil": lambda x: 0.25 * sum(np.roll(x, s, a) for s in (1, -1) for a in (0, 1)),
        "swap": lambda x: x.reshape(2, -1, x.shape[1])[::-1].reshape(x.shape),
        "shuffle": lambda x: x.reshape(x.shape[0], 2, -1).swapaxes(1, 2).reshape(x.shape),
    }


def _joins(library: Any) -> Steps:
    np = library.np
    return {
        "concat": lambda x: np.concatenate([x[:, x.shape[1] // 2 :], x[:, : x.shape[1] // 2]], 1),
        "concat0": lambda x: np.concatenate([x[x.shape[0] // 3 :], x[: x.shape[0] // 3]]),
        "stackmean": lambda x: np.stack([x, x * 2, x + 1]).mean(0),
        "stackmax": lambda x: np.stack([x, -x]).max(0),
        "even": lambda x: np.concatenate([x[:, ::2], x[:, 1::2]], 1),
        "interleave": lambda x: np.stack([x[:, ::2], x[:, 1::2]], -1).reshape(x.shape),
        "rotary": lambda x: np.stack([-x[:, 1::2], x[:, ::2]], -1).reshape(x.shape) + x,
        "halves": lambda x: np.concatenate(np.split(x, 2, 1)[::-1], 1) * x,
        "glu": lambda x: np.concatenate([np.tanh(y := x[:, ::2]), y * x[:, 1::2]], 1),
        "ones": lambda x: np.concatenate([x[:, 1:], np.ones((x.shape[0], 1), x.dtype)], 1),
        "tile": lambda x: np.tile(x[: x.shape[0] // 2], (2, 1)),
        "repeat": lambda x: x[:, ::2].repeat(2, axis=1),
        "hstack": lambda x: np.hstack([x[:, :1], x[:, 1:] - x[:, :-1]]),
    }


def _places(library: Any) -> Steps:
    np, lax, nn, groups = library.np, library.lax, library.nn, 8

    def segments(x: Any) -> Any:
        sums = library.module.ops.segment_sum(x, np.arange(x.shape[0]) % groups, groups)
        return x + sums[:1] / x.shape[0]

    return {
        "gather": lambda x: x[np.arange(x.shape[0]) * 7 % x.shape[0]],
        "gather1": lambda x: x[:, np.arange(x.shape[1]) * 7 % x.shape[1]],
        "take": lambda x: x + np.take_along_axis(x, x.argmin(1)[:, None], 1),
        "pairs": lambda x: x + x[np.arange(x.shape[0]), x.argmax(1)][:, None],
        "setrow": lambda x: x.at[3].set(1.0),
        "addcol": lambda x: x.at[:, 2].add(x[:, 1]),
        "addrows": lambda x: x.at[np.arange(x.shape[0]) // 2].add(x),
        "setmask": lambda x: x.at[1:-1, 1:-1].set(0.5 * x[1:-1, 1:-1]),
        "dynamic": lambda x: lax.dynamic_update_slice(x, x[:4, :4] * 2, (2, 2)),
        "segments": segments,
        "onehot": lambda x: x + nn.one_hot(x.argmax(1), x.shape[1]),
        "lookup": lambda x: x[np.clip(np.abs(x[:, 0] * 9).astype(int), 0, x.shape[0] - 1)],
        "diag": lambda x: x + np.diag(x).sum(),
    }


def _folds(library: Any) -> Steps:
    np, lax = library.np, library.lax

    def pooled(x: Any) -> Any:
        return lax.reduce_window(x, -np.inf, lax.max, (3, 3), (1, 1), "SAME")

    return {
        "ravel": lambda x: x * np.sum(np.ravel(x)[::2]) / x.size,
        "argmax": lambda x: x + x.argmax(1)[:, None] * 0.001,
        "argmax0": lambda x: x + x.argmax(0) * 0.001,
        "any": lambda x: np.where((x > 2).any(1)[:, None], x, -x),
        "count": lambda x: x * ((x > 0).sum(0) / x.shape[0]),
        "block": lambda x: (
            x.reshape(x.shape[0] // 2, 2, x.shape[1] // 2, 2)
            .mean((1, 3))
            .repeat(2, axis=0)
            .repeat(2, axis=1)
        ),
        "halved": lambda x: (
            x.reshape(-1, x.shape[1] // 2, 2).sum(-1).repeat(2, axis=1).reshape(x.shape)
        ),
        "pool": pooled,
        "sliding": lambda x: sum(
            np.pad(x, ((0, 0), (2, 2)))[:, k : k + x.shape[1]] for k in range(5)
        ),
    }


def _orders(library: Any) -> Steps:
    np, lax = library.np, library.lax
    return {
        "cumsum": lambda x: np.cumsum(x, 1) * 0.01,
        "cumsum0": lambda x: np.cumsum(x, 0) * 0.01,
        "cumprod": lambda x: np.cumprod(1 + 0.001 * x, 1),
        "cummax": lambda x: lax.cummax(x, 1),
        "sort": lambda x: np.sort(x, 1),
        "topk": lambda x: np.where(x >= lax.top_k(x, 4)[0][:, -1:], x, 0.0),
        "scan": lambda x: lax.scan(lambda c, r: (0.9 * c + r,) * 2, x[0] * 0, x)[1],
    }


def _products(library: Any) -> Steps:
    np = library.np
    return {
        "outer": lambda x: x + np.outer(x[:, 0], x[0]),
        "matvec": lambda x: x + (x @ x[0])[:, None] * 0.01,
        "vecmat": lambda x: x + (x[:, 0] @ x) * 0.01,
        "gramrow": lambda x: x + (x * x).sum(1)[:, None] * (x * x).sum(0) * 0.001,
        "dense": lambda x: x[:, :64] @ x[:64] * 0.1,
        "pairwise": lambda x: (
            x + (x[:, None, :8] * x[:8, :].T[None, :, :8]).sum(-1).sum(1)[:, None]
        ),
        "einsum": lambda x: x + np.einsum("ij,ij->i", x, np.roll(x, 1, 1))[:, None] * 0.01,
    }


def _types(library: Any) -> Steps:
    np = library.np
    return {
        "half": lambda x: (x.astype(np.float16) * 2).astype(np.float32),
        "bfloat": lambda x: (x.astype(np.bfloat16) + 1).astype(np.float32),
        "ints": lambda x: (np.clip(x, -8, 8) * 16).astype(np.int8).astype(np.float32) / 16,
        "sign": lambda x: np.sign(x) * np.sqrt(np.abs(x)),
    }


# ---------------------------------------------------------------- volumes


def _activations(library: Any) -> Steps:
    np, nn = library.np, library.nn

    def group(x: Any) -> Any:
        y = x.reshape(*x.shape[:-1], 4, -1)
        axes = (*range(1, x.ndim - 1), y.ndim - 1)
        y = (y - y.mean(axes, keepdims=True)) / np.sqrt(y.var(axes, keepdims=True) + 1e-5)
        return y.reshape(x.shape)

    inner = lambda x: tuple(range(1, x.ndim - 1))
    return {
        "layer": lambda x: nn.standardize(x, axis=-1, epsilon=1e-5),
        "batch": lambda x: nn.standardize(x, axis=tuple(range(x.ndim - 1)), epsilon=1e-5),
        "instance": lambda x: nn.standardize(x, axis=inner(x), epsilon=1e-5),
        "group": group,
        "rms": lambda x: x * (1 / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-6)),
        "gelu": lambda x: nn.gelu(x),
        "glu": lambda x: np.concatenate([nn.sigmoid(y := x[..., ::2]), y * x[..., 1::2]], -1),
        "softmax": lambda x: nn.softmax(x),
        "squeeze": lambda x: x * nn.sigmoid(x.mean(inner(x), keepdims=True)),
        "l2": lambda x: x / np.linalg.norm(x, axis=-1, keepdims=True),
        "causal": lambda x: nn.softmax(
            np.where(np.arange(x.shape[-1]) <= np.arange(x.shape[-2])[:, None], x, -np.inf)
        ),
        "center": lambda x: x - x.mean((0, -1), keepdims=True),
    }


def _blocks(library: Any) -> Steps:
    np, lax = library.np, library.lax

    def heads(x: Any) -> Any:
        y = x.reshape(*x.shape[:-1], 4, -1)
        y = np.swapaxes(y, -3, -2)
        return np.swapaxes(y * 2 - 1, -3, -2).reshape(x.shape)

    def pool(x: Any) -> Any:
        size = (1, *(2,) * (x.ndim - 2), 1)
        y = lax.reduce_window(x, -np.inf, lax.max, size, size, "VALID")
        for axis in range(1, x.ndim - 1):
            y = y.repeat(2, axis=axis)
        return y + x

    def rope(x: Any) -> Any:
        half = x.shape[-1] // 2
        angles = np.arange(x.shape[-2])[:, None] * 0.01 * np.arange(half)
        a, b = x[..., :half], x[..., half:]
        c, s = np.cos(angles), np.sin(angles)
        return np.concatenate([a * c - b * s, a * s + b * c], -1)

    def weighted(x: Any) -> Any:
        return np.einsum("...td,...sd->...ts", x, x) @ x / x.shape[-2]

    return {
        "heads": heads,
        "pool": pool,
        "rope": rope,
        "attend": weighted,
        "shift": lambda x: np.concatenate([np.zeros_like(x[:, :1]), x[:, :-1]], 1) + x,
        "roll": lambda x: np.roll(x, 1, 1),
        "turn": lambda x: np.swapaxes(np.swapaxes(x, 1, -1) * 2, 1, -1),
        "stack": lambda x: np.stack([x, np.roll(x, 1, -1), x * 0.5]).sum(0),
        "channels": lambda x: np.moveaxis(np.moveaxis(x, -1, 0).cumsum(0), 0, -1) * 0.1,
        "cumsum": lambda x: np.cumsum(x, 1) * 0.1,
        "pick": lambda x: x + x[np.arange(x.shape[0]), np.arange(x.shape[0]) % x.shape[1]][:, None],
        "tokens": lambda x: x[:, np.arange(x.shape[1])[::-1]] + x,
        "last": lambda x: x.at[:, -1].set(x[:, 0]),
        "drop": lambda x: x.at[..., ::2].multiply(0.5),
        "split": lambda x: np.concatenate(np.split(x, 2, -1)[::-1], -1),
        "flip": lambda x: np.flip(x, (1, -1)),
        "pad": lambda x: np.pad(x, [(0, 0), (1, 1)] + [(0, 0)] * (x.ndim - 2))[:, 2:] + x,
    }
