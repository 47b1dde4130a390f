"""NumPy oracle: runs a Graph, form by form, on host arrays.

It states what every form means, as plainly as NumPy allows; tests compare kernels with it, and the
"interpreter" device is it. Sums of 16-bit floats are kept in float32, as kernels keep them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lowering import graph as g
from lowering import interp_index, scalar
from lowering.scalar_numpy import is_narrow

Arrays = Sequence[np.ndarray]


def run_graph(graph: g.Graph, inputs: Arrays) -> list[np.ndarray]:
    """The graph's outputs for `inputs`; effects run once each, in the order they were built."""
    if len(inputs) != len(graph.inputs):
        raise ValueError(f"the graph has {len(graph.inputs)} inputs, {len(inputs)} were given")
    values: dict[int, object] = {}
    for node, x in zip(graph.inputs, inputs):
        x = np.asarray(x)
        if x.shape != node.shape or x.dtype != node.dtype:
            given = f"{x.dtype}{list(x.shape)}"
            raise ValueError(f"input {node.form.index} is {node!r}, not {given}")
        values[id(node)] = x
    for node in g.toposort((*graph.effects, *graph.outputs)):
        if id(node) not in values:
            values[id(node)] = evaluate(node, [values[id(a)] for a in node.args])
    return [np.ascontiguousarray(values[id(o)]).reshape(o.shape) for o in graph.outputs]


def evaluate(node: g.Node, args: list) -> object:
    """One node's value from its operands'; a list of arrays for a form with several outputs."""
    rule = _RULES.get(type(node.form))
    if rule is None:
        raise NotImplementedError(
            f"the interpreter has no rule for {type(node.form).__name__}; it needs a device"
        )
    value = rule(node, node.form, *args)
    if node.outs is not None:
        return [np.asarray(v, d).reshape(s) for v, (s, d) in zip(value, node.outs, strict=True)]
    value = np.asarray(value)
    if value.shape != node.shape or value.dtype != node.dtype:
        raise AssertionError(f"{node!r} came out as {value.dtype}{list(value.shape)}")
    return value


# ---------------------------------------------------------------- leaves and elements


def _const(node, form):
    return np.full(node.shape, form.value, node.dtype)


def _iota(node, form):
    shape = [1] * node.ndim
    shape[form.dim] = node.shape[form.dim]
    index = scalar.numpy("convert", np.arange(node.shape[form.dim]), dtype=node.dtype)
    return np.broadcast_to(index.reshape(shape), node.shape)


def _map(node, form, *xs):
    return scalar.numpy(form.op, *xs, dtype=node.dtype)


def _get(node, form, values):
    return values[form.index]


# ---------------------------------------------------------------- views


def _reshape(node, form, x):
    return x.reshape(node.shape)


def _transpose(node, form, x):
    return x.transpose(form.perm)


def _broadcast(node, form, x):
    shape = [1] * node.ndim
    for axis, d in enumerate(form.dims):
        shape[d] = x.shape[axis]
    order = np.argsort(form.dims)
    return np.broadcast_to(x.transpose(order).reshape(shape), node.shape)


def _slice(node, form, x):
    cuts = (
        slice(lo, lo + (n - 1) * step + 1 if n else lo, step)
        for lo, n, step in zip(form.starts, node.shape, form.strides)
    )
    return x[tuple(cuts)]


def _reverse(node, form, x):
    return np.flip(x, form.dims)


def _pad(node, form, x, fill):
    return interp_index.pad(x, fill, form.low, form.high, form.interior)


def _concat(node, form, *xs):
    return np.concatenate(xs, axis=form.dim)


# ---------------------------------------------------------------- reductions and products


def _reduce(node, form, x):
    total = interp_index.fold(form.op, widened(x), form.axes)
    return total.astype(node.dtype, copy=False)


def _argreduce(node, form, x):
    find = {"max": np.argmax, "min": np.argmin}[form.op]
    return find(widened(x), axis=form.axis).astype(node.dtype)


def _cumscan(node, form, x):
    wide = np.flip(widened(x), form.axis) if form.reverse else widened(x)
    if x.shape[form.axis] == 0:
        return x
    with np.errstate(all="ignore"):
        ufunc = interp_index.ufunc(form.op, x.dtype)
        total = ufunc.accumulate(wide, axis=form.axis, dtype=wide.dtype)
    total = np.flip(total, form.axis) if form.reverse else total
    return total.astype(node.dtype, copy=False)


def _contract(node, form, x, y):
    (cx, cy), (bx, by) = form.contract, form.batch
    dtype = np.dtype(np.float32) if is_narrow(node.dtype) else node.dtype
    left = _matrix(x, bx, cx, False).astype(dtype)
    right = _matrix(y, by, cy, True).astype(dtype)
    with np.errstate(all="ignore"):
        return np.matmul(left, right).reshape(node.shape).astype(node.dtype)


def _matrix(x, batch, contract, contract_first: bool) -> np.ndarray:
    """x as [batch, free, contracted], or [batch, contracted, free]."""
    free = [k for k in range(x.ndim) if k not in batch and k not in contract]
    groups = (batch, contract, free) if contract_first else (batch, free, contract)
    sizes = [int(np.prod([x.shape[k] for k in group], dtype=np.int64)) for group in groups]
    return x.transpose([k for group in groups for k in group]).reshape(sizes)


def _conv(node, form, x, w):
    dtype = np.dtype(np.float32) if is_narrow(node.dtype) else node.dtype
    out = interp_index.convolve(x.astype(dtype), w.astype(dtype), form)
    return out.reshape(node.shape).astype(node.dtype)


def _window(node, form, x, init):
    out = interp_index.fold_windows(widened(x), widened(init), form)
    return out.reshape(node.shape).astype(node.dtype)


def widened(x: np.ndarray) -> np.ndarray:
    return x.astype(np.float32) if is_narrow(x.dtype) else x


# ---------------------------------------------------------------- indices from data


def _gather(node, form, x, indices, fill=None):
    return interp_index.gather(x, indices, fill, form, node.shape)


def _scatter(node, form, x, indices, updates):
    wide = interp_index.scatter(widened(x), indices, widened(updates), form)
    return wide.astype(node.dtype, copy=False)


def _dynamic_slice(node, form, x, *starts):
    return x[interp_index.clamped_cuts(x.shape, node.shape, starts)]


def _dynamic_update(node, form, x, update, *starts):
    out = x.copy()
    out[interp_index.clamped_cuts(x.shape, update.shape, starts)] = update
    return out


# ---------------------------------------------------------------- several outputs


def _sort(node, form, *xs):
    keys = [widened(k) for k in xs[: form.num_keys]]
    order = np.lexsort(keys[::-1], axis=form.dim)
    return [np.take_along_axis(x, order, form.dim) for x in xs]


def _topk(node, form, x):
    """Descending and stable: the reverse of an ascending sort of the reversed row."""
    n = x.shape[-1]
    ascending = np.argsort(widened(x)[..., ::-1], axis=-1, kind="stable")
    order = (n - 1 - ascending[..., ::-1])[..., : form.k]
    return np.take_along_axis(x, order, -1), order.astype(np.int32)


def _bits(node, form, k0, k1, c0, c1):
    return interp_index.threefry2x32(k0, k1, c0, c1)


def _loop(node, form, *args):
    n_consts, n_carry = form.n_consts, form.n_carry
    cond_consts = args[: form.n_cond_consts]
    args = args[form.n_cond_consts :]
    consts = args[:n_consts]
    carry = list(args[n_consts : n_consts + n_carry])
    if form.cond is not None:
        while run_graph(form.cond, [*cond_consts, *carry])[0].item():
            carry = run_graph(form.body, [*consts, *carry])
        return carry
    xs = args[n_consts + n_carry :]
    ys = [np.empty(shape, dtype) for shape, dtype in node.outs[n_carry:]]
    steps = range(form.length)
    for step in reversed(steps) if form.reverse else steps:
        outs = run_graph(form.body, [*consts, *carry, *(x[step] for x in xs)])
        carry = outs[:n_carry]
        for y, value in zip(ys, outs[n_carry:]):
            y[step] = value
    return [*carry, *ys]


def _cond(node, form, index, *operands):
    which = min(max(int(index), 0), len(form.branches) - 1)
    return run_graph(form.branches[which], operands)


def _opaque(node, form, *xs):
    return form.fn(*xs) or ()


_RULES = {
    g.Const: _const,
    g.Iota: _iota,
    g.Map: _map,
    g.Get: _get,
    g.Reshape: _reshape,
    g.Transpose: _transpose,
    g.Broadcast: _broadcast,
    g.Slice: _slice,
    g.Reverse: _reverse,
    g.Pad: _pad,
    g.Concat: _concat,
    g.Reduce: _reduce,
    g.ArgReduce: _argreduce,
    g.CumScan: _cumscan,
    g.Contract: _contract,
    g.Conv: _conv,
    g.Window: _window,
    g.Gather: _gather,
    g.Scatter: _scatter,
    g.DynamicSlice: _dynamic_slice,
    g.DynamicUpdate: _dynamic_update,
    g.Sort: _sort,
    g.TopK: _topk,
    g.Bits: _bits,
    g.Loop: _loop,
    g.Cond: _cond,
    g.Opaque: _opaque,
}
