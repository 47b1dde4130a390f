"""`sparsify`: a function written for dense arrays, run on sparse ones.

The function is traced as if its sparse arguments were dense; then its jaxpr is evaluated, and an
equation with a sparse operand goes to a rule that keeps it sparse. What has no rule is an error
that names the primitive: nothing is made dense silently.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fx import core, lax
from fx import numpy as fnp
from fx.avals import ShapedArray
from fx.core import ClosedJaxpr, Literal
from fx.experimental.sparse import coordinates
from fx.experimental.sparse.base import JAXSparse
from fx.experimental.sparse.coordinates import BCOO
from fx.experimental.sparse.rows import BCSR
from fx.experimental.sparse.slices import bcoo_repeat, bcoo_rev, bcoo_slice, bcoo_squeeze
from fx.flatten import flatten_function, wraps
from fx.tree_util import tree_flatten


def sparsify(f: Callable[..., Any], use_tracer: bool = False) -> Callable[..., Any]:
    """`f`, whose arguments may be sparse arrays where it expects dense ones.

    Results are sparse where zeros stay zeros. NotImplementedError names a primitive that has no
    rule for sparse operands. `use_tracer` makes no difference.

    >>> from fx.experimental import sparse
    >>> m = sparse.eye(3) * 2.0
    >>> float(sparsify(lambda m, v: (m @ v).sum() + fnp.sum(m))(m, fnp.ones(3)))
    12.0
    """

    @wraps(f)
    def sparse_f(*args: Any, **kwargs: Any) -> Any:
        leaves, tree = tree_flatten((args, kwargs), is_leaf=_is_sparse)
        values = [x.to_bcoo() if isinstance(x, BCSR) else x for x in leaves]
        avals = [
            ShapedArray(x.shape, x.dtype) if _is_sparse(x) else core.get_aval(x) for x in values
        ]
        flat, out = flatten_function(f, tree, kwargs=True)
        jaxpr, consts = core.trace_to_jaxpr(flat, avals)
        return out.tree.unflatten(_evaluate(jaxpr, consts, values))

    return sparse_f


def _is_sparse(x: Any) -> bool:
    return isinstance(x, JAXSparse)


def _evaluate(jaxpr: Any, consts: Any, args: Any) -> list[Any]:
    env = dict(zip((*jaxpr.constvars, *jaxpr.invars), (*consts, *args), strict=True))

    def read(a: Any) -> Any:
        return a.val if isinstance(a, Literal) else env[a]

    for eqn in jaxpr.eqns:
        operands = [read(a) for a in eqn.invars]
        if any(map(_is_sparse, operands)):
            rule = _RULES.get(eqn.primitive.name)
            if rule is None:
                raise NotImplementedError(
                    f"sparse rule for {eqn.primitive.name} is not implemented."
                )
            outs = rule(*operands, **eqn.params)
        else:
            outs = eqn.primitive.bind(*operands, **eqn.params)
        several = eqn.primitive.multiple_results
        env.update(zip(eqn.outvars, outs if several else (outs,), strict=True))
    return [read(a) for a in jaxpr.outvars]


# ---------------------------------------------------------------- rules

_RULES: dict[str, Callable[..., Any]] = {}


def _rule(*names: str) -> Callable[..., Any]:
    def install(function: Callable[..., Any]) -> Callable[..., Any]:
        _RULES.update(dict.fromkeys(names, function))
        return function

    return install


def _elementwise(name: str, linear: bool) -> Callable[..., Any]:
    """f(0) = 0: applied to the stored values; unless it is linear, to sums of equal indices."""

    def rule(x: BCOO, **params: Any) -> BCOO:
        if not linear and not x.unique_indices:
            x = coordinates.bcoo_sum_duplicates(x, nse=x.nse)
        return x._with(core.PRIMITIVES[name].bind(x.data, **params))

    return rule


for _name in ("neg", "real", "imag", "conj", "convert_element_type", "copy"):
    _RULES[_name] = _elementwise(_name, linear=True)
for _name in (
    *("abs", "asin", "asinh", "atan", "atanh", "cbrt", "ceil", "erf", "expm1", "floor", "log1p"),
    *("reduce_precision", "round", "sign", "sin", "sinh", "sqrt", "square", "tan", "tanh"),
):
    _RULES[_name] = _elementwise(_name, linear=False)


@_rule("integer_pow")
def _integer_pow(x: BCOO, *, y: int) -> BCOO:
    if y <= 0:
        raise NotImplementedError(f"sparse rule for integer_pow with the exponent {y}")
    return _elementwise("integer_pow", linear=False)(x, y=y)


@_rule("add", "add_any")
def _add(x: Any, y: Any) -> Any:
    if not (_is_sparse(x) and _is_sparse(y)):
        raise NotImplementedError("Addition between sparse and dense array.")
    return x + y


@_rule("sub")
def _sub(x: Any, y: Any) -> Any:
    if not (_is_sparse(x) and _is_sparse(y)):
        raise NotImplementedError("Subtraction between sparse and dense array.")
    return x + (-y)


@_rule("mul")
def _mul(x: Any, y: Any) -> Any:
    return x * y if _is_sparse(x) else y * x


@_rule("div")
def _div(x: Any, y: Any) -> Any:
    if _is_sparse(y):
        raise NotImplementedError("Division by sparse array.")
    return x._with(coordinates.bcoo_multiply_dense(x, 1 / fnp.asarray(y)).data)


@_rule("dot_general")
def _dot_general(x: Any, y: Any, *, dimension_numbers: Any, **params: Any) -> Any:
    if _is_sparse(x):
        return coordinates.bcoo_dot_general(x, y, dimension_numbers=dimension_numbers)
    (lc, rc), (lb, rb) = dimension_numbers  # the sparse operand comes second
    out = coordinates.bcoo_dot_general(y, x, dimension_numbers=((rc, lc), (rb, lb)))
    nb, free = len(lb), np.ndim(x) - len(lc) - len(lb)
    own = out.ndim - nb - free  # axes of y come first in `out`, and last in the result
    order = (*range(nb), *range(nb + own, out.ndim), *range(nb, nb + own))
    return lax.transpose(out, order)


@_rule("reduce_sum")
def _reduce_sum(x: BCOO, *, axes: Any) -> Any:
    out = coordinates.bcoo_reduce_sum(x, axes=axes)
    return out if out.ndim else out.todense()


@_rule("transpose")
def _transpose(x: BCOO, *, permutation: Any) -> BCOO:
    return coordinates.bcoo_transpose(x, permutation=permutation)


@_rule("reshape")
def _reshape(x: BCOO, *, new_sizes: Any, **params: Any) -> BCOO:
    return coordinates.bcoo_reshape(x, new_sizes=new_sizes)


@_rule("broadcast_in_dim")
def _broadcast(x: BCOO, *, shape: Any, broadcast_dimensions: Any) -> BCOO:
    return bcoo_repeat(x, shape=shape, broadcast_dimensions=broadcast_dimensions)


@_rule("squeeze")
def _squeeze(x: BCOO, *, dimensions: Any) -> BCOO:
    return bcoo_squeeze(x, dimensions=dimensions)


@_rule("slice")
def _slice(x: BCOO, *, start_indices: Any, limit_indices: Any, strides: Any) -> BCOO:
    return bcoo_slice(x, start_indices=start_indices, limit_indices=limit_indices, strides=strides)


@_rule("rev")
def _rev(x: BCOO, *, dimensions: Any) -> BCOO:
    return bcoo_rev(x, dimensions=dimensions)


@_rule("concatenate")
def _concatenate(*operands: Any, dimension: int) -> BCOO:
    if not all(map(_is_sparse, operands)):
        raise NotImplementedError("concatenation of sparse and dense arrays")
    return coordinates.bcoo_concatenate(operands, dimension=dimension)


@_rule("jit", "custom_jvp_call", "custom_vjp_call", "checkpoint")
def _inline(*operands: Any, **params: Any) -> list[Any]:
    """Functions in functions: what they hold is evaluated in place."""
    inner = params.get("jaxpr", params.get("call_jaxpr"))
    jaxpr, consts = (inner.jaxpr, inner.consts) if isinstance(inner, ClosedJaxpr) else (inner, [])
    return _evaluate(jaxpr, consts, operands)
