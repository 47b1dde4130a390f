"""fx.numpy against NumPy: reductions."""

from __future__ import annotations

import numpy as np
import pytest
from numpy_cases import b, c, check, f, i, nanx, p

import fx
import fx.numpy as fnp

pytestmark = pytest.mark.eager

X = np.arange(6.0, dtype=np.float32).reshape(2, 3) ** 1.5

CASES = [
    (lambda xp: xp.sum(f(3, 4)), "float32"),
    (lambda xp: xp.sum(i(3, 4), axis=1), "int32"),
    (lambda xp: xp.sum(i(3, 4).astype("int8")), "int32"),
    (lambda xp: xp.sum(i(3, 4).astype("uint8")), "uint32"),
    (lambda xp: xp.sum(b(3, 4)), "int32"),
    (lambda xp: xp.sum(f(3, 4), axis=(0, -1), keepdims=True), "float32"),
    (lambda xp: xp.sum(f(3, 4), 0, where=b(3, 4), initial=2), "float32"),
    (lambda xp: xp.sum(f(3, 4).astype("float16")), "float16"),
    (lambda xp: xp.sum(f(3, 4), dtype=np.int32), "int32"),
    (lambda xp: xp.prod(f(3, 4), 0), "float32"),
    (lambda xp: xp.prod(i(3)), "int32"),
    (lambda xp: xp.max(f(3, 4), 1), "float32"),
    (lambda xp: xp.min(i(3, 4), 0, keepdims=True), "int32"),
    (lambda xp: xp.max(f(3, 4), 1, where=b(3, 4), initial=-5.0), "float32"),
    (lambda xp: xp.max(c(4)), "complex64"),
    (lambda xp: xp.max(b(4)), "bool"),
    (lambda xp: xp.amax(nanx(), 1), "float32"),
    (lambda xp: xp.ptp(f(3, 4), 1), "float32"),
    (lambda xp: xp.argmax(f(3, 4)), "int32"),
    (lambda xp: xp.argmax(f(3, 4), 1, keepdims=True), "int32"),
    (lambda xp: xp.argmin(nanx(), 1), "int32"),
    (lambda xp: xp.argmax(b(4)), "int32"),
    (lambda xp: xp.all(b(3, 4), 0), "bool"),
    (lambda xp: xp.any(i(3, 4)), "bool"),
    (lambda xp: xp.any(b(3, 4), 1, where=b(3, 4)), "bool"),
    (lambda xp: xp.count_nonzero(i(3, 4), 1), "int32"),
    (lambda xp: xp.mean(f(3, 4), 0), "float32"),
    (lambda xp: xp.mean(i(3, 4)), "float32"),
    (lambda xp: xp.mean(f(3, 4), where=b(3, 4)), "float32"),
    (lambda xp: xp.mean(b(4)), "float32"),
    (lambda xp: xp.mean(f(4).astype("float16")), "float16"),
    (lambda xp: xp.var(f(3, 4), 0), "float32"),
    (lambda xp: xp.var(f(3, 4), ddof=1), "float32"),
    (lambda xp: xp.var(c(3, 4)), "float32"),
    (lambda xp: xp.std(f(3, 4), 1, keepdims=True), "float32"),
    (lambda xp: xp.std(f(3, 4), correction=1), "float32"),
    (lambda xp: xp.std(i(3, 4), where=b(3, 4)), "float32"),
    (lambda xp: xp.average(f(3, 4), 0), "float32"),
    (lambda xp: xp.average(f(3, 4), 1, weights=p(4)), "float32"),
    (lambda xp: xp.average(f(3, 4), weights=p(3, 4), returned=True), "float32"),
    (lambda xp: xp.cumsum(f(3, 4)), "float32"),
    (lambda xp: xp.cumsum(i(3, 4), 1), "int32"),
    (lambda xp: xp.cumsum(b(4)), "int32"),
    (lambda xp: xp.cumprod(f(3, 4), 0), "float32"),
    (lambda xp: xp.cumulative_sum(i(4).astype("int8")), "int32"),
    (lambda xp: xp.cumulative_sum(f(4), include_initial=True), "float32"),
    (lambda xp: xp.cumulative_prod((i(4) % 3 + 1).astype("int8")), "int8"),
    (lambda xp: xp.cumulative_prod(f(3, 4), axis=1, include_initial=True), "float32"),
    (lambda xp: xp.nansum(nanx(), 0), "float32"),
    (lambda xp: xp.nanprod(nanx(), 1), "float32"),
    (lambda xp: xp.nanmax(nanx(), 1), "float32"),
    (lambda xp: xp.nanmin(nanx(), 0), "float32"),
    (lambda xp: xp.nanmean(nanx(), 1), "float32"),
    (lambda xp: xp.nanvar(nanx(), 0), "float32"),
    (lambda xp: xp.nanstd(nanx(), 1), "float32"),
    (lambda xp: xp.nanargmin(nanx()[:2], 1), "int32"),
    (lambda xp: xp.nancumsum(nanx(), 1), "float32"),
    (lambda xp: xp.nancumprod(nanx(), 1), "float32"),
    (lambda xp: xp.nanmedian(nanx(), 1), "float32"),
    (lambda xp: xp.nanquantile(nanx(), np.array([0.2, 0.6]), axis=1), "float32"),
    (lambda xp: xp.sum(xp.asarray(2.0)), "float32"),
    (lambda xp: xp.max(xp.asarray(2.0)), "float32"),
    (lambda xp: xp.quantile(f(7), 0.3), "float32"),
    (lambda xp: xp.quantile(f(3, 7), np.array([0.1, 0.5]), axis=1), "float32"),
    (lambda xp: xp.quantile(f(3, 7), np.array([0.1, 0.5]), axis=1, keepdims=True), "float32"),
    (lambda xp: xp.quantile(f(7), 0.3, method="lower"), "float32"),
    (lambda xp: xp.quantile(f(7), 0.3, method="higher"), "float32"),
    (lambda xp: xp.quantile(f(7), 0.3, method="nearest"), "float32"),
    (lambda xp: xp.quantile(f(7), 0.3, method="midpoint"), "float32"),
    (lambda xp: xp.quantile(f(3, 4), 0.3, axis=(0, 1)), "float32"),
    (lambda xp: xp.quantile(nanx(), 0.3), "float32"),
    (lambda xp: xp.percentile(f(7), 30), "float32"),
    (lambda xp: xp.percentile(i(7), np.array([10, 90])), "float32"),
    (lambda xp: xp.median(f(3, 4), 1), "float32"),
    (lambda xp: xp.median(f(3, 5), 0, keepdims=True), "float32"),
    (lambda xp: xp.cov(f(3, 6)), "float32"),
    (lambda xp: xp.cov(f(6), f(6)[::-1]), "float32"),
    (lambda xp: xp.cov(f(3, 6), bias=True), "float32"),
    (lambda xp: xp.cov(f(3, 6), fweights=np.arange(1, 7)), "float32"),
    (lambda xp: xp.cov(f(3, 6), aweights=p(6)), "float32"),
    (lambda xp: xp.cov(c(3, 6)), "complex64"),
    (lambda xp: xp.corrcoef(f(3, 6)), "float32"),
]


@pytest.mark.parametrize("case", CASES, ids=range(len(CASES)))
def test_reductions(case):
    check(case)


@pytest.mark.parametrize("where", [None, X > 1])
def test_degrees_of_freedom_may_be_traced(where):
    found = fx.vmap(lambda d: fnp.var(X, ddof=d, where=where))(np.array([0.0, 1.0, 2.5]))
    given = True if where is None else where
    expected = [np.var(X, ddof=d, where=given) for d in (0.0, 1.0, 2.5)]
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert np.isnan(fx.vmap(lambda d: fnp.std(X, ddof=d))(np.array([6]))[0])
