"""Memory: the most bytes that a compiled call holds, and the least that liveness allows.

Eight programs; a test bounds their ratios, `python -m benchmarks.figures memory` prints them.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

import fx
import fx.numpy as fnp
import fx.optim as optim
from fx import nn
from fx.jaxpr import Var
from fx.passes import dce_closed, inline_jits


def random(*shape: int) -> fx.Array:
    """Normal float32 numbers, each time others."""
    return fnp.asarray(_RNG.normal(size=shape).astype(np.float32))


_RNG = np.random.default_rng(0)


def measured(f: Callable[..., Any], *args: Any) -> tuple[int, int, Any]:
    """Bytes above what was there before: the most during a warm call, and what stays after it; and
    the counters.
    """
    fx.block_until_ready(f(*args))
    gc.collect()
    fx.debug.reset_counters()
    base = fx.counters().live_bytes
    out = fx.block_until_ready(f(*args))
    c = fx.counters()
    peak, kept = c.peak_bytes - base, c.live_bytes - base
    del out
    return peak, kept, c


def peak_of(f: Callable[..., Any], *args: Any) -> int:
    """The most bytes of a compiled call, its arguments included."""
    given = sum(x.nbytes for x in fx.tree_util.tree_leaves(args))
    return measured(fx.jit(f), *args)[0] + given


def nbytes(atoms: Iterable[Any]) -> int:
    """Of variables of a jaxpr, each counted once."""
    return sum(a.aval.size * a.aval.dtype.itemsize for a in set(atoms))


def liveness_bound(f: Callable[..., Any], *args: Any) -> int:
    """The most bytes that are live at any equation of the jaxpr; inputs belong to the caller."""
    closed = dce_closed(fx.make_jaxpr(f)(*args))[0]
    jaxpr = inline_jits(closed.jaxpr)
    inputs = {*jaxpr.constvars, *jaxpr.invars}
    last = {a: k for k, e in enumerate(jaxpr.eqns) for a in e.invars if isinstance(a, Var)}
    last |= {a: len(jaxpr.eqns) for a in jaxpr.outvars if isinstance(a, Var)}
    live, most = set(inputs), nbytes(inputs)
    for k, e in enumerate(jaxpr.eqns):
        live |= set(e.outvars)
        most = max(most, nbytes(live))
        live = {a for a in live if a in inputs or last.get(a, -1) > k}
    return most


def attention(q: Any, k: Any, v: Any) -> Any:
    """One head, its results summed."""
    return (nn.softmax(q @ k.T / 8) @ v).sum()


def convolution(w: Any, x: Any) -> Any:
    """A convolution, a nonlinearity, a mean."""
    return (nn.relu(nn.conv2d(x, w)) ** 2).mean()


def mlp(params: Any, x: Any) -> Any:
    """Layers of tanh, a mean."""
    for w in params:
        x = fnp.tanh(x @ w)
    return (x**2).mean()


def adam(params: Any, state: Any, grads: Any) -> Any:
    """One update."""
    updates, state = optim.adam(1e-3).update(grads, state, params)
    return optim.apply_updates(params, updates), state


def programs() -> dict[str, tuple[Callable[..., Any], list[Any]]]:
    """Functions and their arguments."""
    weights, x = [random(256, 256) for _ in range(3)], random(512, 256)
    return {
        "chain": (lambda x: fnp.exp(fnp.sin(x) * 2) + 1, [x]),
        "diamond": (lambda x: fnp.sin(x) * fnp.cos(x) + x, [x]),
        "softmax": (nn.softmax, [x]),
        "layernorm": (nn.layer_norm, [x]),
        "mlp gradient": (fx.grad(mlp), [weights, random(256, 256)]),
        "attention gradient": (fx.grad(attention, (0, 1, 2)), [random(256, 64)] * 3),
        "convolution gradient": (fx.grad(convolution), [random(8, 8, 3, 3), random(4, 8, 24, 24)]),
        "adam": (adam, [weights, optim.adam(1e-3).init(weights), weights]),
    }
