"""Which entries of a Jacobian can be other than zero: the tangent program, run on index sets.

The jaxpr of t -> jvp(f, x, t) is linear in t. Each of its values becomes a sparse boolean matrix
[elements, entries of t]; primitives that move elements are run on element numbers, products join
rows, and a primitive without a rule here is taken to mix everything. No value of x is looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp

from fx.config import enable_x64
from fx.core import PRIMITIVES, UndefinedPrimal, close, get_aval, instantiate
from fx.jaxpr import ClosedJaxpr, JaxprEqn, Literal
from fx.jvp import jvp
from fx.trace import ShapeDtypeStruct, ensure_compile_time_eval, make_jaxpr
from fx.vmap import vmap

__all__ = ["jacobian_pattern"]


class Info(NamedTuple):
    """What is known of a value: itself, or what it depends on; neither: unknown, constant in t."""

    value: Any = None
    pattern: Any = None


def jacobian_pattern(fun: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A function that gives the pattern of the Jacobian of `fun` (one array to one array).

    The result is a SciPy sparse boolean matrix [output size, input size] that holds True wherever
    the derivative may differ from zero for some input of this shape; it may hold more. It is read
    off the jaxpr: no values are computed, and arguments may be `ShapeDtypeStruct`s.

    >>> import fx.numpy as fnp
    >>> pattern = jacobian_pattern(lambda x: x[1:] * x[:-1])(fnp.ones(4))
    >>> pattern.toarray().astype(int).tolist()
    [[1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 1]]
    """

    def pattern_of(x: Any) -> Any:
        aval = get_aval(x) if not isinstance(x, ShapeDtypeStruct) else x
        like = ShapeDtypeStruct(aval.shape, aval.dtype)

        def tangent(x: Any, t: Any) -> Any:
            return jvp(fun, (x,), (t,))[1]

        closed, shape = make_jaxpr(tangent, return_shape=True)(like, like)
        if not isinstance(shape, ShapeDtypeStruct):
            raise TypeError(
                "jacobian_pattern: the function must return one array; join the leaves of a tree "
                "with fx.flatten_util.ravel_pytree"
            )
        size = int(np.prod(aval.shape))
        start = Info(pattern=sp.identity(size, dtype="bool", format="csr"))
        with ensure_compile_time_eval():
            (out,) = _run(closed, [Info(), start], size)
        found = _pattern(out, int(np.prod(shape.shape)), size)
        found.sum_duplicates()
        return found

    return pattern_of


# ---------------------------------------------------------------- the evaluator


def _run(closed: ClosedJaxpr, args: Sequence[Info], width: int) -> list[Info]:
    """The jaxpr on what is known of its inputs."""
    env = dict(zip(closed.jaxpr.invars, args))
    env |= {v: Info(np.asarray(c)) for v, c in zip(closed.jaxpr.constvars, closed.consts)}

    def read(a: Any) -> Info:
        return Info(np.asarray(a.val)) if isinstance(a, Literal) else env[a]

    for eqn in closed.jaxpr.eqns:
        env.update(zip(eqn.outvars, _equation(eqn, [read(a) for a in eqn.invars], width)))
    return [read(a) for a in closed.jaxpr.outvars]


def _equation(eqn: JaxprEqn, infos: list[Info], width: int) -> list[Info]:
    name, outs = eqn.primitive.name, eqn.outvars
    if name in _CALLS:
        return _CALLS[name](eqn, infos, width)
    if all(i.pattern is None for i in infos):
        if eqn.effects or any(i.value is None for i in infos):
            return [Info()] * len(outs)
        with enable_x64(True):
            found = eqn.primitive.bind(*[i.value for i in infos], **eqn.params)
        found = found if eqn.primitive.multiple_results else [found]
        return [Info(np.asarray(v)) for v in found]
    if name in _ONE_TO_MANY and _places_known(eqn, infos):
        return _moved(eqn, infos)
    if name in _MANY_TO_ONE and _places_known(eqn, infos):
        return [Info(pattern=_summed(eqn, infos, width))]
    rule = _RULES.get(name, _union if eqn.primitive.elementwise else _everything)
    return rule(eqn, infos, width)


def _pattern(info: Info, rows: int, width: int) -> Any:
    return sp.csr_matrix((rows, width), dtype=bool) if info.pattern is None else info.pattern


def _size(v: Any) -> int:
    return int(np.prod(v.aval.shape))


# ---------------------------------------------------------------- rules


def _everything(eqn: JaxprEqn, infos: list[Info], width: int) -> list[Info]:
    """Each output element depends on all that any operand depends on."""
    used = np.zeros(width, bool)
    for i in infos:
        if i.pattern is not None:
            used[i.pattern.indices] = True
    columns = np.flatnonzero(used)

    def full(rows: int) -> Any:
        indptr = np.arange(rows + 1) * len(columns)
        data = np.ones(rows * len(columns), bool)
        return sp.csr_matrix((data, np.tile(columns, rows), indptr), (rows, width))

    return [Info(pattern=full(_size(v))) for v in eqn.outvars]


def _spread(info: Info, v: Any, rows: int, width: int) -> Any:
    """The pattern of an operand as one row for each output element (scalars are repeated)."""
    found = _pattern(info, _size(v), width)
    return found[np.zeros(rows, int)] if found.shape[0] == 1 != rows else found


def _union(eqn: JaxprEqn, infos: list[Info], width: int) -> list[Info]:
    """Elementwise: rows are joined."""
    rows = _size(eqn.outvars[0])
    total = sp.csr_matrix((rows, width), dtype=bool)
    for i, a in zip(infos, eqn.invars):
        if i.pattern is not None:
            total = total + _spread(i, a, rows, width)
    return [Info(pattern=total)]


def _masked(pattern: Any, keep: np.ndarray) -> Any:
    """Rows that are not kept emptied."""
    return sp.csr_matrix(sp.diags(keep.ravel().astype(bool), dtype=bool) @ pattern)


def _product(eqn: JaxprEqn, infos: list[Info], width: int) -> list[Info]:
    """Elementwise product: where a known factor is zero nothing is left."""
    (found,) = _union(eqn, infos, width)
    for i in infos:
        if i.value is not None and (i.value == 0).any():
            keep = np.broadcast_to(i.value != 0, eqn.outvars[0].aval.shape)
            found = Info(pattern=_masked(found.pattern, keep))
    return [found]


def _select(eqn: JaxprEqn, infos: list[Info], width: int) -> list[Info]:
    """The chosen operand's row where the choice is known, else the union."""
    which, cases = infos[0].value, infos[1:]
    rows = _size(eqn.outvars[0])
    total = sp.csr_matrix((rows, width), dtype=bool)
    for k, (i, a) in enumerate(zip(cases, eqn.invars[1:])):
        if i.pattern is not None:
            mine = _spread(i, a, rows, width)
            if which is not None:
                mine = _masked(mine, np.broadcast_to(which == k, eqn.outvars[0].aval.shape))
            total = total + mine
    return [Info(pattern=total)]


def _same(eqn: JaxprEqn, infos: list[Info], width: int) -> list[Info]:
    return list(infos)


# positions of the operands that say where elements go
_ONE_TO_MANY: dict[str, Callable[[int], tuple[int, ...]]] = {
    **dict.fromkeys(
        ("broadcast_in_dim", "concatenate", "copy", "pad", "reshape", "rev", "slice", "split",
         "squeeze", "transpose"),
        lambda n: (),
    ),
    "gather": lambda n: (1,),
    "dynamic_slice": lambda n: tuple(range(1, n)),
    "dynamic_update_slice": lambda n: tuple(range(2, n)),
    "scatter": lambda n: (1,),
}  # fmt: skip
_MANY_TO_ONE: dict[str, Callable[[int], tuple[int, ...]]] = {
    "reduce_sum": lambda n: (),
    "scatter-add": lambda n: (1,),
}


def _places(eqn: JaxprEqn) -> tuple[int, ...]:
    name = eqn.primitive.name
    return {**_ONE_TO_MANY, **_MANY_TO_ONE}[name](len(eqn.invars))


def _places_known(eqn: JaxprEqn, infos: list[Info]) -> bool:
    return all(infos[k].value is not None for k in _places(eqn))


def _moved(eqn: JaxprEqn, infos: list[Info]) -> list[Info]:
    """The primitive on the numbers of the elements (from 1; 0 and NaN are none)."""
    places, start, numbers, patterns = _places(eqn), 1, [], []
    for k, (i, a) in enumerate(zip(infos, eqn.invars)):
        if k in places:
            numbers.append(i.value)
        elif i.pattern is None:
            numbers.append(np.zeros(a.aval.shape))
        else:
            numbers.append(np.arange(start, start + _size(a), dtype=float).reshape(a.aval.shape))
            start += _size(a)
            patterns.append(i.pattern)
    with enable_x64(True):
        found = eqn.primitive.bind(*numbers, **eqn.params)
    rows: Any = sp.vstack([sp.csr_matrix((1, patterns[0].shape[1]), dtype=bool), *patterns], "csr")
    outs = found if eqn.primitive.multiple_results else [found]
    return [Info(pattern=rows[np.nan_to_num(np.asarray(v)).astype(int).ravel()]) for v in outs]


def _summed(eqn: JaxprEqn, infos: list[Info], width: int) -> Any:
    """Elements that go to one place each: the transposed primitive says to which."""
    places, (out,) = _places(eqn), eqn.outvars
    rows = _size(out)
    args = [
        i.value if k in places else UndefinedPrimal(get_aval(np.zeros(a.aval.shape)))
        for k, (i, a) in enumerate(zip(infos, eqn.invars))
    ]
    with enable_x64(True):
        ct = eqn.primitive.bind(*[np.zeros(a.aval.shape) if k not in places else args[k]
                                  for k, a in enumerate(eqn.invars)], **eqn.params)  # fmt: skip
        ct = ct + np.arange(1, rows + 1, dtype=float).reshape(out.aval.shape)
        back = eqn.primitive.rule("transpose")(ct, *args, **eqn.params)
    total = sp.csr_matrix((rows, width), dtype=bool)
    for k, i in enumerate(infos):
        if i.pattern is not None:
            target = np.nan_to_num(np.asarray(instantiate(back[k]))).astype(int).ravel()
            (given,) = np.nonzero(target)
            shape = (rows, i.pattern.shape[0])
            total = total + _joined(target[given] - 1, given, shape) @ i.pattern
    return total


def _joined(rows: np.ndarray, columns: np.ndarray, shape: tuple[int, int]) -> Any:
    return sp.csr_matrix((np.ones(len(rows), bool), (rows, columns)), shape)


def _dot_general(eqn: JaxprEqn, infos: list[Info], width: int) -> list[Info]:
    """Products join along the contracted axes; zeros of a known operand cut."""
    (contract, batch) = eqn.params["dimension_numbers"]
    shapes = [a.aval.shape for a in eqn.invars]
    free = [
        [d for d in range(len(s)) if d not in contract[k] and d not in batch[k]]
        for k, s in enumerate(shapes)
    ]
    rows = _size(eqn.outvars[0])
    sizes = [int(np.prod([shapes[0][d] for d in batch[0]]))] + [
        int(np.prod([shapes[k][d] for d in free[k]])) for k in (0, 1)
    ]
    depth = int(np.prod([shapes[0][d] for d in contract[0]]))
    # element numbers of both operands as [batch, free, contracted]
    numbers = [
        np.arange(int(np.prod(s))).reshape(s).transpose((*batch[k], *free[k], *contract[k]))
        .reshape(sizes[0], sizes[k + 1], depth)
        for k, s in enumerate(shapes)
    ]  # fmt: skip
    total = sp.csr_matrix((rows, width), dtype=bool)
    outs = np.arange(rows).reshape(sizes)
    for k, (mine, other) in enumerate(((0, 1), (1, 0))):
        if infos[mine].pattern is None:
            continue
        places = outs if k == 0 else outs.swapaxes(1, 2)
        total = total + _half(numbers[mine], numbers[other], infos[mine], infos[other], places)
    return [Info(pattern=total)]


def _half(mine: Any, theirs: Any, info: Info, other: Info, outs: Any) -> Any:
    """One operand's share: mine [b, i, k], theirs [b, j, k], outs [b, i, j] -> rows of outs."""
    size = outs.size
    if other.value is not None and outs.size * mine.shape[2] <= 1 << 24:
        there = other.value.reshape(-1)[theirs] != 0
        b, i, j, k = np.nonzero(np.broadcast_to(there[:, None], (*outs.shape, mine.shape[2])))
        return _joined(outs[b, i, j], mine[b, i, k], (size, mine.size)) @ info.pattern
    lines = np.arange(mine.shape[0] * mine.shape[1])
    over = _joined(np.repeat(lines, mine.shape[2]), mine.ravel(), (len(lines), mine.size))
    to = np.repeat(lines, outs.shape[2])
    return _joined(outs.ravel(), to, (size, len(lines))) @ (over @ info.pattern)


def _probed(eqn: JaxprEqn, infos: list[Info], width: int) -> list[Info]:
    """A linear primitive with positive weights; unknown operands are ones."""
    (out,) = eqn.outvars
    total = sp.csr_matrix((_size(out), width), dtype=bool)
    fixed = [
        np.ones(a.aval.shape) if i.value is None else (i.value != 0).astype(float)
        for i, a in zip(infos, eqn.invars)
    ]
    params = {k: None if k == "preferred_element_type" else v for k, v in eqn.params.items()}
    for k, (i, a) in enumerate(zip(infos, eqn.invars)):
        if i.pattern is None:
            continue

        def apply(x: Any, k: int = k) -> Any:
            return eqn.primitive.bind(*fixed[:k], x, *fixed[k + 1 :], **params)

        total = total + _matrix(apply, a.aval.shape) @ i.pattern
    return [Info(pattern=total)]


def _matrix(apply: Callable[[Any], Any], shape: tuple[int, ...], chunk: int = 64) -> Any:
    """The pattern of a linear function with positive weights, a few unit vectors at a time."""
    size, blocks = int(np.prod(shape)), []
    for start in range(0, size, chunk):
        units = np.eye(min(chunk, size - start), size, start).reshape(-1, *shape)
        with enable_x64(True):
            images = np.asarray(vmap(apply)(units))
        blocks.append(sp.csr_matrix(images.reshape(len(units), -1) > 1e-9))
    return sp.vstack(blocks, "csr").T.tocsr()


def _windows(eqn: JaxprEqn, infos: list[Info], width: int) -> list[Info]:
    """An element of each window, it is not known which; `window_place` is the transpose."""
    placing = eqn.primitive.name == "window_place"
    params = {k: v for k, v in eqn.params.items() if k != "sizes"}
    shape = (eqn.outvars if placing else eqn.invars)[0].aval.shape
    reach = _matrix(lambda x: PRIMITIVES["reduce_window_sum"].bind(x, **params), shape)
    return [Info(pattern=(reach.T.tocsr() if placing else reach) @ infos[0].pattern)]


_RULES: dict[str, Callable[..., list[Info]]] = {
    "mul": _product,
    "select_n": _select,
    "optimization_barrier": _same,
    "dot_general": _dot_general,
    **dict.fromkeys(("conv_general_dilated", "cumsum", "reduce_window_sum"), _probed),
    **dict.fromkeys(("window_select", "window_place"), _windows),
}

# ---------------------------------------------------------------- primitives that hold jaxprs


def _call(eqn: JaxprEqn, infos: list[Info], width: int) -> list[Info]:
    return _run(eqn.params["jaxpr"], infos, width)


def _tangent_of_custom_vjp(eqn: JaxprEqn, infos: list[Info], width: int) -> list[Info]:
    """The transposed backward rule, as a jaxpr; a rule without a transpose mixes everything."""
    evaluate = eqn.primitive.trace_rules["eval"]
    try:
        closed = close(lambda *args: evaluate(None, args, eqn.params), [a.aval for a in eqn.invars])
    except TypeError:
        return _everything(eqn, infos, width)
    return _run(closed, infos, width)


def _joined_infos(a: Info, b: Info) -> Info:
    """What holds of both: the union of patterns; a value only where it is the same."""
    if a.pattern is None and b.pattern is None:
        same = a.value is not None and b.value is not None and np.array_equal(a.value, b.value)
        return a if same else Info()
    return Info(pattern=a.pattern if b.pattern is None else
                b.pattern if a.pattern is None else a.pattern + b.pattern)  # fmt: skip


def _cond(eqn: JaxprEqn, infos: list[Info], width: int) -> list[Info]:
    branches = eqn.params["branches"]
    if infos[0].value is not None:
        branches = (branches[int(np.clip(infos[0].value, 0, len(branches) - 1))],)
    first, *others = [_run(b, infos[1:], width) for b in branches]
    for found in others:
        first = [_joined_infos(a, b) for a, b in zip(first, found)]
    return first


def _scan(eqn: JaxprEqn, infos: list[Info], width: int) -> list[Info]:
    """Step by step: carries and slices keep their own patterns."""
    p = eqn.params
    first, last = p["num_consts"], p["num_consts"] + p["num_carry"]
    consts, carry, stacked = infos[:first], infos[first:last], infos[last:]
    length, body = p["length"], p["jaxpr"]
    order = range(length)[::-1] if p["reverse"] else range(length)
    slices: list[Any] = [None] * length
    for k in order:
        xs = [_sliced(i, k, _size(a) // length) for i, a in zip(stacked, eqn.invars[last:])]
        found = _run(body, [*consts, *carry, *xs], width)
        carry, slices[k] = found[: p["num_carry"]], found[p["num_carry"] :]
    ys = []
    for j, v in enumerate(eqn.outvars[p["num_carry"] :]):
        if length == 0 or all(s[j].pattern is None for s in slices):
            ys.append(Info())
            continue
        rows = _size(v) // length
        ys.append(Info(pattern=sp.vstack([_pattern(s[j], rows, width) for s in slices], "csr")))
    return [*carry, *ys]


def _sliced(info: Info, k: int, rows: int) -> Info:
    if info.pattern is not None:
        return Info(pattern=info.pattern[k * rows : (k + 1) * rows])
    return Info(None if info.value is None else info.value[k])


def _while(eqn: JaxprEqn, infos: list[Info], width: int) -> list[Info]:
    """The least patterns that one more turn does not enlarge."""
    p = eqn.params
    first = p["cond_nconsts"] + p["body_nconsts"]
    consts, carry = infos[p["cond_nconsts"] : first], infos[first:]
    while True:
        found = _run(p["body_jaxpr"], [*consts, *carry], width)
        joined = [_joined_infos(a, b) for a, b in zip(carry, found)]
        if [_count(i) for i in joined] == [_count(i) for i in carry]:
            return joined
        carry = joined


def _count(info: Info) -> tuple[int, bool]:
    return (0 if info.pattern is None else info.pattern.nnz, info.value is not None)


_CALLS: dict[str, Callable[..., list[Info]]] = {
    **dict.fromkeys(("jit", "checkpoint"), _call),
    "custom_lin": _tangent_of_custom_vjp,
    "cond": _cond,
    "scan": _scan,
    "while": _while,
}
