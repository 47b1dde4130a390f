"""Scatter on a GPU: lanes along what cannot collide, owners for what can.

In: a Scatter node. Out: a Stage. Window axes that no index moves, and batch axes, are lanes: their
elements never meet. Where updates may meet, the rows of one scattered axis are dealt to owners, and
each walks all updates in order and applies its own: no atomics, the same bits. Updates that are
unique, or whose order no integer can tell, run all at once (integers by atomics).
"""

from __future__ import annotations

from math import prod

import numpy as np

from lowering import graph as g
from lowering import scalar
from lowering.affine import strides_of
from lowering.emit.scope import Stage
from lowering.nest import NestBuffer
from lowering.profile import Profile
from lowering.templates import scatter

GROUP = 128
LANES = 1 << 14  # lanes that fill a device


def stage(node: g.Node, profile: Profile) -> Stage:
    """The stage of a Scatter node: buffers are indices, updates, output."""
    return _Writer(node, profile).stage()


class _Writer:
    def __init__(self, node: g.Node, profile: Profile):
        self.node, self.f = node, node.form
        self.x, self.indices, self.updates = node.args
        f = self.f
        self.local = min(GROUP, profile.max_group)
        window = [k for k in range(self.x.ndim) if k not in f.inserted and k not in f.x_batch]
        self.windows = list(zip(window, f.window_dims))  # axis of x, axis of updates
        self.sizes = {k: self.updates.shape[d] for k, d in self.windows}
        self.batch_dims = [d for d in range(self.updates.ndim) if d not in f.window_dims]
        self.batch = [self.updates.shape[d] for d in self.batch_dims]
        points = all(self.sizes.get(k, 1) == 1 for k in f.start_map)
        self.once = prod(self.batch) == 1 or (f.unique and points and f.mode != "clip")
        self.atomic = not self.once and node.dtype.name in ("int32", "uint32")
        self.atomic = self.atomic and f.op in ("add", "min", "max")
        self.lines: list[str] = []

    def stage(self) -> Stage:
        lanes, names = self.lanes()
        total = prod(lanes)
        groups = max(1, min(-(-total // self.local), 1 << 16))
        ints = [total, groups * self.local]
        self.line(0, "const int lid = get_local_id(0);")
        self.line(0, f"for (long g = item * {self.local} + lid; g < n0; g += n1) {{")
        self.line(1, "long rest = g;")
        for name, n in zip(names[::-1], lanes[::-1]):
            self.line(1, f"const long {name} = rest % {n}; rest /= {n};")
        self.walk(names)
        self.line(0, "}")
        buffers = [
            NestBuffer(self.indices, self.indices.dtype, self.indices.size),
            NestBuffer(self.updates, self.updates.dtype, self.updates.size),
            NestBuffer(self.node, self.node.dtype, self.node.size, True),
        ]
        label = self.node.tag or "scatter"
        return Stage("\n".join(self.lines), buffers, ints, groups, self.local, label)

    def line(self, depth: int, text: str) -> None:
        self.lines.append("  " * (depth + 1) + text)

    # ------------------------------------------------ lanes

    def lanes(self) -> tuple[list[int], list[str]]:
        """Extents and names of what runs side by side, the fastest last; sets the owner axis."""
        free = self.once or self.atomic
        lanes: list[tuple[int, str]] = []
        for j, n in enumerate(self.batch):
            if free or j in self.f.index_batch:
                lanes.append((n, f"q{j}"))
        for k, _ in self.windows:
            if free or k not in self.f.start_map:
                lanes.append((self.sizes[k], f"w{k}"))
        self.owner, self.share = None, 0
        if not free:
            owner = scatter.owner_axis(self.f, self.sizes, self.x)
            count = max(1, LANES // max(1, prod(n for n, _ in lanes)))
            if owner is not None and count > 1:
                self.owner = owner
                self.share = -(-self.x.shape[owner] // count)
                lanes.insert(0, (-(-self.x.shape[owner] // self.share), "part"))
        return [n for n, _ in lanes], [name for _, name in lanes]

    # ------------------------------------------------ one lane

    def walk(self, names: list[str]) -> None:
        """The updates of a lane, in order."""
        if self.owner is not None:
            self.line(1, f"const long lo = part * {self.share}, hi = lo + {self.share};")
        depth = 1
        for j, n in enumerate(self.batch):
            if f"q{j}" not in names:
                self.line(depth, f"for (long q{j} = 0; q{j} < {n}; ++q{j}) {{")
                depth += 1
        strides = strides_of(self.batch)
        x_strides, u_strides = strides_of(self.x.shape), strides_of(self.updates.shape)
        s = " + ".join([f"q{j} * {strides[j]}" for j in range(len(self.batch))] or ["0"])
        self.line(depth, f"const long s = {s};")
        base = [f"q{q} * {x_strides[p]}" for p, q in zip(self.f.x_batch, self.f.index_batch)]
        self.lines += scatter.place(
            self.f, self.x, self.indices, self.sizes, self.owner, base=" + ".join(["0", *base])
        )
        u = [f"q{k} * {u_strides[d]}" for k, d in enumerate(self.batch_dims)] or ["0"]
        self.line(2, f"const long u = {' + '.join(u)};")
        to, frm = ["o"], ["u"]
        for k, d in self.windows:
            if self.sizes[k] == 1 and f"w{k}" not in names:
                continue
            if f"w{k}" not in names:
                self.line(depth, f"for (long w{k} = 0; w{k} < {self.sizes[k]}; ++w{k}) {{")
                depth += 1
            to.append(f"w{k} * {x_strides[k]}")
            frm.append(f"w{k} * {u_strides[d]}")
        self.line(depth, self.apply(to, frm))
        for level in range(depth - 1, 0, -1):
            self.line(level, "}")

    def apply(self, to: list[str], frm: list[str]) -> str:
        if not self.atomic:
            new = scalar.load(np.dtype(self.node.dtype), 1, f"b1 + {' + '.join(frm)}")
            return scatter.apply(self.node, 1, f"b2 + {' + '.join(to)}", new)
        kind = scalar.memory_type(self.node.dtype)
        target = f"(volatile __global {kind} *)(b2 + {' + '.join(to)})"
        value = scalar.load(np.dtype(self.node.dtype), 1, f"b1 + {' + '.join(frm)}")
        return f"atomic_{self.f.op}({target}, {value});"
