"""Sparse Jacobians and Hessians by colouring: columns that share no row are computed as one.

The pattern comes from `fx.experimental.sparsity`; a graph colouring compresses the basis from n
unit vectors to as many sums of them as there are colours (Curtis, Powell and Reid 1974; for
Hessians star colouring, Coleman and Moré 1984), and the products are read back into a BCOO array.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import scipy.sparse as sp

from fx import numpy as fnp
from fx.experimental.sparse import BCOO
from fx.experimental.sparsity import jacobian_pattern
from fx.grad import grad, linearize, vjp
from fx.trace import ShapeDtypeStruct, eval_shape
from fx.vmap import vmap

__all__ = [
    "colour_columns",
    "colour_symmetric",
    "jacobian_pattern",
    "sparse_hessian",
    "sparse_jacobian",
]


def sparse_jacobian(
    fun: Callable[[Any], Any],
    pattern: Any = None,
    mode: Literal["auto", "fwd", "rev"] = "auto",
) -> Callable[[Any], BCOO]:
    """The Jacobian of `fun` (one array to one array) as a sparse array of its possible nonzeros.

    A pushforward (mode "fwd") for each colour of the columns, or a pullback ("rev") for each colour
    of the rows; "auto" takes the fewer. The result has shape output.shape + input.shape. `pattern`
    (a boolean matrix [output size, input size], SciPy's or NumPy's) saves the analysis, and may be
    smaller where more is known of the function.

    >>> import fx.numpy as fnp
    >>> f = lambda x: x[1:] * x[:-1]
    >>> jac = sparse_jacobian(f)(fnp.arange(5.0))
    >>> jac
    BCOO(float32[4, 5], nse=8)
    >>> jac.todense()[1].tolist()
    [0.0, 2.0, 1.0, 0.0, 0.0]
    """
    if mode not in ("auto", "fwd", "rev"):
        raise ValueError(f"sparse_jacobian: mode is 'auto', 'fwd' or 'rev', not {mode!r}")

    def jacobian(x: Any) -> BCOO:
        x = fnp.asarray(x)
        found = _given(pattern, jacobian_pattern(fun), x)
        forward, reverse = mode == "fwd", mode == "rev"
        columns = None if reverse else colour_columns(found)
        rows = None if forward else colour_columns(found.T.tocsr())
        if columns is not None and (rows is None or columns.max(initial=0) <= rows.max(initial=0)):
            _, push = linearize(lambda v: fnp.ravel(fun(v.reshape(x.shape))), fnp.ravel(x))
            products = vmap(push)(_seeds(columns, x.dtype))
            i, j = found.nonzero()
            data = products[columns[j], i]
        else:
            assert rows is not None
            out, pull = vjp(lambda v: fnp.ravel(fun(v.reshape(x.shape))), fnp.ravel(x))
            products = vmap(lambda ct: pull(ct)[0])(_seeds(rows, out.dtype))
            i, j = found.nonzero()
            data = products[rows[i], j]
        return _coordinates(data, i, j, _shape_of(fun, x), x.shape)

    return jacobian


def sparse_hessian(fun: Callable[[Any], Any], pattern: Any = None) -> Callable[[Any], BCOO]:
    """The Hessian of a scalar function of one array, as a sparse array: one forward-over-reverse
    product for each colour of a star colouring, which uses that it is symmetric.

    >>> import fx.numpy as fnp
    >>> h = sparse_hessian(lambda x: (x[0] * x).sum())(fnp.ones(100))
    >>> h
    BCOO(float32[100, 100], nse=199)
    """

    def hessian(x: Any) -> BCOO:
        x = fnp.asarray(x)
        gradient = grad(lambda v: fun(v.reshape(x.shape)))
        found = _given(pattern, lambda x: jacobian_pattern(gradient)(fnp.ravel(x)), x)
        found: Any = sp.csr_matrix(found + found.T)
        colours = colour_symmetric(found)
        _, push = linearize(gradient, fnp.ravel(x))
        products = vmap(push)(_seeds(colours, x.dtype))
        i, j = found.nonzero()
        # (i, j) stands in column colour(j) of row i, unless another neighbour of i has that colour
        shared = np.bincount(i * (colours.max(initial=0) + 1) + colours[j])
        alone = shared[i * (colours.max(initial=0) + 1) + colours[j]] == 1
        data = products[np.where(alone, colours[j], colours[i]), np.where(alone, i, j)]
        return _coordinates(data, i, j, x.shape, x.shape)

    return hessian


def _given(pattern: Any, analysis: Callable[[Any], Any], x: Any) -> Any:
    found: Any = analysis(x) if pattern is None else sp.csr_matrix(pattern, dtype=bool)
    if found.shape[1] != x.size:
        raise ValueError(f"pattern has {found.shape[1]} columns, but the input {x.size} elements")
    return found


def _seeds(colours: np.ndarray, dtype: Any) -> Any:
    """One row per colour: the sum of the unit vectors of that colour."""
    count = int(colours.max(initial=-1)) + 1
    return (np.arange(count)[:, None] == colours[None, :]).astype(dtype)


def _shape_of(fun: Callable[[Any], Any], x: Any) -> tuple[int, ...]:
    return eval_shape(fun, ShapeDtypeStruct(x.shape, x.dtype)).shape


def _coordinates(data: Any, i: Any, j: Any, out_shape: Any, in_shape: Any) -> BCOO:
    parts = [*np.unravel_index(i, out_shape or (1,)), *np.unravel_index(j, in_shape or (1,))]
    kept = parts if out_shape else parts[1:]
    kept = kept if in_shape else kept[:-1]
    indices = np.stack(kept, axis=-1).astype(np.int32) if kept else np.zeros((len(i), 0), np.int32)
    shape = (*out_shape, *in_shape)
    return BCOO((data, indices), shape=shape, indices_sorted=True, unique_indices=True)


# ---------------------------------------------------------------- colourings


def colour_columns(pattern: Any) -> np.ndarray:
    """Colours (0, 1, ...) of the columns so that columns of equal colour share no row.

    Greedy, columns with most neighbours first: never more colours than the most neighbours plus
    one.

    >>> colour_columns(np.eye(4)).tolist()
    [0, 0, 0, 0]
    """
    matrix: Any = sp.csr_matrix(pattern, dtype=bool)
    graph: Any = (matrix.T.astype(np.int32) @ matrix.astype(np.int32)).tocsr()
    colours = np.full(matrix.shape[1], -1)
    for v in _by_degree(graph):
        near = colours[graph.indices[graph.indptr[v] : graph.indptr[v + 1]]]
        colours[v] = _least_unused(set(near.tolist()))
    return colours


def colour_symmetric(pattern: Any) -> np.ndarray:
    """A star colouring of a symmetric pattern: neighbours differ, and every path of four vertices
    has three colours, so that each entry can be read from one product.

    Gebremedhin, Manne and Pothen, "What color is your Jacobian?", 2005, algorithm 4.1.

    >>> arrow = np.eye(4); arrow[0] = arrow[:, 0] = 1
    >>> colour_symmetric(arrow).tolist()
    [0, 1, 1, 1]
    """
    graph: Any = sp.csr_matrix(pattern, dtype=bool)
    near = [
        [int(w) for w in graph.indices[graph.indptr[v] : graph.indptr[v + 1]] if w != v]
        for v in range(graph.shape[0])
    ]
    colours = np.full(graph.shape[0], -1)
    for v in _by_degree(graph):
        unusable: set[int] = set()
        for w in near[v]:
            if colours[w] >= 0:
                unusable.add(int(colours[w]))
            for x in near[w]:
                if x == v or colours[x] < 0:
                    continue
                if colours[w] < 0 or any(y != w and colours[y] == colours[w] for y in near[x]):
                    unusable.add(int(colours[x]))
        colours[v] = _least_unused(unusable)
    return colours


def _by_degree(graph: Any) -> np.ndarray:
    return np.argsort(-np.diff(graph.indptr), kind="stable")


def _least_unused(used: set[int]) -> int:
    colour = 0
    while colour in used:
        colour += 1
    return colour
