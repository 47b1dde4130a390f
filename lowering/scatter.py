"""Scatter: a stage that adds updates to their places, each place by one owner and in update order.

The output's rows (along the first scattered axis) are dealt to items; each item walks all updates
and applies those that fall into its rows. So no atomics, and the same bits on any number of cores.
The node's buffer already holds its operand.
"""

from __future__ import annotations

from math import prod

import numpy as np

from lowering import graph as g
from lowering import scalar
from lowering.affine import strides_of
from lowering.emit import Stage
from lowering.nest import NestBuffer
from lowering.profile import Profile


def stage(node: g.Node, profile: Profile) -> Stage:
    """The stage of a Scatter node: buffers are indices, updates, output."""
    if profile.schedule == "gpu":
        from lowering import scatter_gpu

        return scatter_gpu.stage(node, profile)
    x, indices, updates = node.args
    f: g.Scatter = node.form
    window_axes = [k for k in range(x.ndim) if k not in f.inserted and k not in f.x_batch]
    sizes = {k: updates.shape[d] for k, d in zip(window_axes, f.window_dims)}
    batch_dims = [d for d in range(updates.ndim) if d not in f.window_dims]
    batch_shape = [updates.shape[d] for d in batch_dims]
    owner = _owner_axis(f, sizes, x)
    n_updates = prod(batch_shape)
    items = 1
    if owner is not None and updates.size >= 1 << 14:
        items = min(x.shape[owner], 8, max(1, updates.size >> 13))
    buffers = [
        NestBuffer(indices, indices.dtype, indices.size),
        NestBuffer(updates, updates.dtype, updates.size),
        NestBuffer(node, node.dtype, node.size, True),
    ]
    lines = [
        f"  const long lo = {_share(x, owner, items)} * item, hi = lo + {_share(x, owner, items)};"
    ]
    lines.append(f"  for (long s = 0; s < {n_updates}; ++s) {{")
    lines += _batch_index(batch_shape)
    lines += _place(f, x, indices, sizes, owner if items > 1 else None)
    lines += _updates_base(updates, batch_dims)
    lines += _window_loops(node, f, x, updates, window_axes, sizes)
    lines.append("  }")
    return Stage("\n".join(lines), buffers, [], items, 1, node.tag or "scatter")


def _owner_axis(f: g.Scatter, sizes: dict[int, int], x: g.Node) -> int | None:
    """An axis along which every update touches one row."""
    for k in f.start_map:
        if sizes.get(k, 1) == 1 and x.shape[k] > 1:
            return k
    return None


def _share(x: g.Node, owner: int | None, items: int) -> int:
    return x.size + 1 if owner is None or items == 1 else -(-x.shape[owner] // items)


def _batch_index(shape: list[int]) -> list[str]:
    lines, rest = [], "s"
    for k in range(len(shape) - 1, -1, -1):
        if k == 0:
            lines.append(f"    const long q0 = {rest};")
        else:
            lines.append(f"    const long q{k} = {rest} % {shape[k]}, r{k} = {rest} / {shape[k]};")
            rest = f"r{k}"
    return lines


def _place(
    f: g.Scatter, x: g.Node, indices: g.Node, sizes: dict[int, int], owner: int | None
) -> list[str]:
    """The window's start in the output, clamped, or `continue` where it is dropped or another
    item's.
    """
    n = len(f.start_map)
    lines = [f"    const long at = s * {n};"]
    strides = strides_of(x.shape)
    terms = ["0"]
    for j, k in enumerate(f.start_map):
        high = x.shape[k] - sizes.get(k, 1)
        kind = scalar.register_type(indices.dtype, 1)
        lines.append(f"    const {kind} v{j} = b0[at + {j}];")
        top = min(high, np.iinfo(indices.dtype).max)
        if high < 0:
            lines.append("    continue;")
        elif f.mode == "clip":
            lines.append(f"    const long c{j} = v{j} < 0 ? 0 : v{j} > {top} ? {top} : (long)v{j};")
        else:
            lines.append(f"    if (v{j} < 0 || v{j} > {top}) continue;")
            lines.append(f"    const long c{j} = (long)v{j};")
        if k == owner:
            lines.append(f"    if (c{j} < lo || c{j} >= hi) continue;")
        terms.append(f"c{j} * {strides[k]}" if high >= 0 else "0")
    for p, q in zip(f.x_batch, f.index_batch):
        terms.append(f"q{q} * {strides[p]}")
    return [*lines, f"    const long o = {' + '.join(terms)};"]


def _updates_base(updates: g.Node, batch_dims: list[int]) -> list[str]:
    strides = strides_of(updates.shape)
    terms = [f"q{k} * {strides[d]}" for k, d in enumerate(batch_dims)] or ["0"]
    return [f"    const long u = {' + '.join(terms)};"]


def _window_loops(node, f, x, updates, window_axes, sizes) -> list[str]:
    """Loops over the window; the innermost runs in strips where both sides are contiguous."""
    x_strides, u_strides = strides_of(x.shape), strides_of(updates.shape)
    axes = [(k, d) for k, d in zip(window_axes, f.window_dims) if sizes[k] > 1]
    lines, pad = [], "    "
    to, frm = ["o"], ["u"]
    for j, (k, d) in enumerate(axes):
        last = j == len(axes) - 1
        to.append(f"w{j} * {x_strides[k]}")
        frm.append(f"w{j} * {u_strides[d]}")
        if last and x_strides[k] == u_strides[d] == 1 and sizes[k] >= 8:
            strip, one = (_apply(node, f.op, width, to, frm) for width in (8, 1))
            n = sizes[k]
            lines.append(f"{pad}long w{j} = 0;")
            lines.append(f"{pad}for (; w{j} + 8 <= {n}; w{j} += 8) {{ {strip} }}")
            lines.append(f"{pad}for (; w{j} < {n}; ++w{j}) {{ {one} }}")
            return [*lines, *("    }" for _ in range(j))]
        lines.append(f"{pad}for (long w{j} = 0; w{j} < {sizes[k]}; ++w{j}) {{")
    lines.append(f"{pad}{_apply(node, f.op, 1, to, frm)}")
    return [*lines, *("    }" for _ in axes)]


def _apply(node: g.Node, op: str, width: int, to: list[str], frm: list[str]) -> str:
    d = node.dtype
    target, source = f"b2 + {' + '.join(to)}", f"b1 + {' + '.join(frm)}"
    new = scalar.load(d, width, source)
    if op != "set":
        kind = scalar.register_type(d, width)
        names = f"const {kind} x = {scalar.load(d, width, target)}, y = {new}; "
        return (
            names
            + scalar.store(d, width, target, scalar.text(op, (d, d), d, width, ["x", "y"]))
            + ";"
        )
    return scalar.store(d, width, target, new) + ";"
