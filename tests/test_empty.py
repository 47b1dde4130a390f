"""Arrays without elements: what functions give for them, eagerly and under jit.

The table's shapes, dtypes and values are JAX's; registered primitives have their own empty cases.
"""

from __future__ import annotations

import numpy as np
import pytest

import fx
import fx.numpy as jnp
from fx import lax, nn, random
from fx.scipy import signal, special

F, I, C, U = "float32", "int32", "complex64", "uint8"
EMPTY = {
    "cov of one variable": (jnp.cov, [(0,)], [((), F)]),
    "cov of no variables": (jnp.cov, [(0, 3)], [((0, 0), F)]),
    "cov of no samples": (jnp.cov, [(3, 0)], [((3, 3), F)]),
    "cov of two groups": (jnp.cov, [(3, 0), (2, 0)], [((5, 5), F)]),
    "cov of no columns": (lambda x: jnp.cov(x, rowvar=False), [(3, 0)], [((0, 0), F)]),
    "corrcoef of no variables": (jnp.corrcoef, [(0, 3)], [((0, 0), F)]),
    "corrcoef of no samples": (jnp.corrcoef, [(3, 0)], [((3, 3), F)]),
    "ix_": (lambda x: jnp.ix_(x, jnp.arange(2)), [(0,)], [((0, 1), I), ((1, 2), I)]),
    "poly": (jnp.poly, [(0,)], [((), F)]),
    "roots": (jnp.roots, [(0,)], [((0,), C)]),
    "unstack": (lax.unstack, [(0, 3)], []),
    "split into nothing": (lambda x: lax.split(x, (), 1), [(3, 0)], []),
    "softmax": (nn.softmax, [(3, 0)], [((3, 0), F)]),
    "log_softmax": (lambda x: nn.log_softmax(x, (0, 1)), [(0, 3)], [((0, 3), F)]),
    "softmax, vmapped": (fx.vmap(nn.softmax), [(3, 0)], [((3, 0), F)]),
    "softmax's gradient": (fx.grad(lambda x: nn.softmax(x).sum()), [(0,)], [((0,), F)]),
    "the largest of nothing": (lambda x: jnp.linalg.norm(x, np.inf), [(0,)], [((), F)]),
    "trapezoid": (jnp.trapezoid, [(3, 0), (0,)], [((3,), F)]),
    "trapezoid of even steps": (jnp.trapezoid, [(0,)], [((), F)]),
    "dirichlet": (lambda x: random.dirichlet(random.key(0), x), [(3, 0)], [((3, 0), F)]),
    "multigammaln of dimension 0": (lambda x: special.multigammaln(x, 0), [(2,)], [((2,), F)]),
    "matrix_rank": (lambda x: jnp.linalg.matrix_rank(x, 1.0), [(2, 0, 3)], [((2,), I)]),
    "lstsq without rows": (
        jnp.linalg.lstsq, [(0, 3), (0,)], [((3,), F), ((1,), F), ((), I), ((0,), F)],
    ),
    "lstsq without columns": (
        jnp.linalg.lstsq, [(3, 0), (3, 2)], [((0, 2), F), ((2,), F), ((), I), ((0,), F)],
    ),
    "unique": (
        lambda x: jnp.unique(x, True, True, True, size=2),
        [(0,)], [((2,), F), ((2,), I), ((0,), I), ((2,), I)],
    ),
    "unique rows": (lambda x: jnp.unique(x, axis=0, size=3), [(0, 2)], [((3, 2), F)]),
    "intersect1d": (
        lambda x, y: jnp.intersect1d(x, y, return_indices=True, size=2),
        [(0,), (3,)], [((2,), F), ((2,), I), ((2,), I)],
    ),
    "setxor1d": (lambda x, y: jnp.setxor1d(x, y, size=2), [(0,), (0,)], [((2,), F)]),
    "view": (lambda x: x.view(U), [(0, 3)], [((0, 12), U)]),
    "view of an empty axis": (lambda x: x.view("bfloat16"), [(3, 0)], [((3, 0), "bfloat16")]),
    "stft": (signal.stft, [(3, 0)], [((3, 0), F), ((3, 0), F), ((3, 0), C)]),
    "stft along no axis": (
        lambda x: signal.stft(x, axis=0), [(0, 3)], [((0, 3), F), ((0, 3), F), ((0, 3), C)],
    ),
    "welch": (signal.welch, [(0, 3)], [((0, 3), F), ((0, 3), F)]),
    "csd": (signal.csd, [(2, 0), (2, 3)], [((2, 0), F), ((2, 0), C)]),
}  # fmt: skip
NOT_A_NUMBER = {"cov of one variable", "cov of no samples", "cov of two groups"}


@pytest.mark.parametrize("wrap", [lambda f: f, fx.jit], ids=["eager", "jit"])
@pytest.mark.parametrize("name", EMPTY)
def test_empty_arrays_have_results(name, wrap):
    function, shapes, expected = EMPTY[name]
    out = fx.tree.leaves(wrap(function)(*map(jnp.ones, shapes)))
    assert [(x.shape, x.dtype.name) for x in out] == expected
    if name in NOT_A_NUMBER:
        assert np.isnan(out[0]).all()


def test_what_is_there_of_empty_problems():
    """No unknowns leave b as the residual; no roots are the polynomial 1; sets are padded."""
    resid = jnp.linalg.lstsq(jnp.ones((3, 0)), jnp.array([[1.0, 2.0], [2.0, 0.0], [2.0, 0.0]]))[1]
    np.testing.assert_allclose(resid, [9.0, 4.0])
    assert jnp.poly(jnp.ones(0)) == 1
    common = jnp.intersect1d(jnp.ones(0), jnp.ones(3), return_indices=True, size=2, fill_value=7)
    assert [p.tolist() for p in common] == [[7, 7], [0, 0], [3, 3]]
    counted = jnp.unique(jnp.ones((0, 2)), return_counts=True, axis=0, size=1, fill_value=7)
    assert [p.tolist() for p in counted] == [[[7, 7]], [0]]
