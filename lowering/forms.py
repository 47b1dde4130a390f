"""Forms: what is static in a node of a Graph. The closed set of what can be computed.

The docstring of a form says what its operands are, and their shapes. Each pass of the back end has
a rule for each form, or says that it has none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lowering.fields import Fields

if TYPE_CHECKING:
    from lowering.graph import Graph

Shape = tuple[int, ...]


@dataclass(slots=True, eq=False, repr=False)
class Input(Fields):
    """The index-th argument of the graph; no operands."""

    index: int


@dataclass(slots=True, eq=False, repr=False)
class Const(Fields):
    """A scalar spread over the node's shape: a Python bool, int, float or complex."""

    value: Any

    # 0.0 and -0.0, 1 and True, nan and nan must not be confused
    def __eq__(self, other: object) -> bool:
        return isinstance(other, Const) and repr(self.value) == repr(other.value)

    def __hash__(self) -> int:
        return hash(repr(self.value))


@dataclass(slots=True, eq=False, repr=False)
class Iota(Fields):
    """The index along `dim`, in the node's dtype."""

    dim: int


@dataclass(slots=True, eq=False, repr=False)
class Map(Fields):
    """Scalar operation `op` (of lowering.scalar) by element; operands have the node's shape."""

    op: str


@dataclass(slots=True, eq=False, repr=False)
class Reshape(Fields):
    """Row-major reshape to the node's shape."""


@dataclass(slots=True, eq=False, repr=False)
class Transpose(Fields):
    """out[i] = x[i permuted]: output axis k is operand axis perm[k]. `stored`: it stands in memory,
    for many that read it so; else it costs nothing, and is read where its operand stands.
    """

    perm: tuple[int, ...]
    stored: bool = False


@dataclass(slots=True, eq=False, repr=False)
class Broadcast(Fields):
    """Operand axis k becomes output axis dims[k] (size 1 stretches); other output axes are new."""

    dims: tuple[int, ...]


@dataclass(slots=True, eq=False, repr=False)
class Slice(Fields):
    """out[i] = x[starts + i * strides]; strides are positive."""

    starts: tuple[int, ...]
    strides: tuple[int, ...]


@dataclass(slots=True, eq=False, repr=False)
class Reverse(Fields):
    """Flip along `dims`."""

    dims: tuple[int, ...]


@dataclass(slots=True, eq=False, repr=False)
class Pad(Fields):
    """args (x, fill): low, high and interior padding, the first two may be negative (they crop)."""

    low: tuple[int, ...]
    high: tuple[int, ...]
    interior: tuple[int, ...]


@dataclass(slots=True, eq=False, repr=False)
class Concat(Fields):
    """Operands one after the other along `dim`."""

    dim: int


@dataclass(slots=True, eq=False, repr=False)
class Reduce(Fields):
    """Fold over `axes` with `op` in add mul max min and or xor; the axes disappear."""

    op: str
    axes: tuple[int, ...]


@dataclass(slots=True, eq=False, repr=False)
class ArgReduce(Fields):
    """Index of the first max or min along `axis` (NaN wins), in the node's dtype; the axis goes."""

    op: str
    axis: int


@dataclass(slots=True, eq=False, repr=False)
class Contract(Fields):
    """dot_general: axes are batch, free of x, free of y; accumulates in its dtype or wider."""

    contract: tuple[tuple[int, ...], tuple[int, ...]]
    batch: tuple[tuple[int, ...], tuple[int, ...]]


@dataclass(slots=True, eq=False, repr=False)
class Conv(Fields):
    """Correlation of x [N, C, *spatial] with w [O, C/groups, *window] to [N, O, *out]."""

    strides: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    lhs_dilation: tuple[int, ...]
    rhs_dilation: tuple[int, ...]
    groups: int


@dataclass(slots=True, eq=False, repr=False)
class Window(Fields):
    """args (x, init scalar): fold windows of x; size, stride, pads and dilations per axis."""

    op: str
    size: tuple[int, ...]
    strides: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    base_dilation: tuple[int, ...]
    window_dilation: tuple[int, ...]


@dataclass(slots=True, eq=False, repr=False)
class CumScan(Fields):
    """Inclusive running fold along `axis` with `op` in add mul max min logaddexp."""

    op: str
    axis: int
    reverse: bool


@dataclass(slots=True, eq=False, repr=False)
class Gather(Fields):
    """args (x, indices [..., k]): XLA's gather; indices are starts of windows of `sizes`.

    Output axes: the index batch axes, with the window axes placed at `offset_dims`. `start_map[j]`
    is the axis of x that index component j moves along; `collapsed` window axes (size 1) vanish;
    `x_batch`/`index_batch` pair off. mode: clip, or fill (args has a third, scalar fill
    operand).
    """

    sizes: tuple[int, ...]
    offset_dims: tuple[int, ...]
    collapsed: tuple[int, ...]
    start_map: tuple[int, ...]
    x_batch: tuple[int, ...]
    index_batch: tuple[int, ...]
    mode: str


@dataclass(slots=True, eq=False, repr=False)
class Scatter(Fields):
    """args (x, indices [..., k], updates): XLA's scatter; `op` is set add mul min max.

    Updates out of bounds are dropped (mode drop) or moved inside (clip); later updates
    win for `set`. With `wrap`, negative index components count from the end.
    """

    op: str
    window_dims: tuple[int, ...]
    inserted: tuple[int, ...]
    start_map: tuple[int, ...]
    x_batch: tuple[int, ...]
    index_batch: tuple[int, ...]
    mode: str
    unique: bool
    wrap: bool = False


@dataclass(slots=True, eq=False, repr=False)
class DynamicSlice(Fields):
    """args (x, *starts, integer scalars): a window of the node's shape, starts clamped to fit."""

    fits: bool = False


@dataclass(slots=True, eq=False, repr=False)
class DynamicUpdate(Fields):
    """args (x, update, *starts as integer scalars): x with the window replaced, starts clamped."""

    fits: bool = False


@dataclass(slots=True, eq=False, repr=False)
class Sort(Fields):
    """Operands sorted together along `dim` by the first `num_keys` in turn; several outputs."""

    dim: int
    num_keys: int
    stable: bool


@dataclass(slots=True, eq=False, repr=False)
class TopK(Fields):
    """args (x): k largest along the last axis, their int32 indices; ties by lower index."""

    k: int


@dataclass(slots=True, eq=False, repr=False)
class Bits(Fields):
    """args (k0, k1, c0, c1), uint32 of one shape: threefry2x32, 20 rounds; two such outputs."""


@dataclass(slots=True, eq=False, repr=False)
class Loop(Fields):
    """args (consts, carry, xs): `body`(consts, carry, x slices) -> (carry, y slices); stacks ys.

    With `cond` None it runs `length` times (backwards over xs and ys if `reverse`). Otherwise it
    runs while `cond`(cond consts, carry) holds; then there are no xs, and args are (cond consts...,
    consts..., carry...).
    """

    body: Graph
    cond: Any  # a Graph, or None
    length: int
    reverse: bool
    n_cond_consts: int
    n_consts: int
    n_carry: int


@dataclass(slots=True, eq=False, repr=False)
class Cond(Fields):
    """args (index int32 scalar, operands...): branches[clamp(index)](operands); several outputs."""

    branches: tuple[Graph, ...]


@dataclass(slots=True, eq=False, repr=False)
class Opaque(Fields):
    """A host step: fn(*arrays) -> arrays; equal keys, equal functions. `effect`: it must run, in
    order, even if no one reads its outputs. `stage`: what `written` may do instead."""

    key: Any
    fn: Callable[..., Any]
    effect: bool = False
    stage: tuple = ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Opaque) and (self.key, self.effect) == (other.key, other.effect)

    def __hash__(self) -> int:
        return hash((self.key, self.effect))


@dataclass(slots=True, eq=False, repr=False)
class KernelCall(Fields):
    """A user's own OpenCL kernel: source, kernel name, sizes, scalar arguments; several outputs."""

    source: str
    name: str
    global_size: tuple[int, ...]
    local_size: tuple[int, ...] | None
    scalars: tuple[tuple[str, Any], ...] = ()


@dataclass(slots=True, eq=False, repr=False)
class Get(Fields):
    """The index-th output of a form with several outputs."""

    index: int


Form = Any
VIEWS = (Reshape, Transpose, Broadcast, Slice, Reverse, Pad, Concat)


def has_effect(form: Form) -> bool:
    """Whether it must run even if no one reads its outputs, as must a loop or branch of such."""
    inner = (form.body,) if isinstance(form, Loop) else getattr(form, "branches", ())
    return getattr(form, "effect", False) or any(g.effects for g in inner)
