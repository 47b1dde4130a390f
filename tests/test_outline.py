"""Outline: row tiles of long products are functions of their own."""

from __future__ import annotations

import numpy as np
import pytest

import fx
import fx.numpy as fnp
from benchmarks.driverless import lower_function
from lowering.profile import AVX512
from lowering.templates import outline

pytestmark = pytest.mark.lowering


def test_names_that_lines_declare():
    lines = [
        "  const int m0 = ir * RT, m1 = (M < m0 + RT ? M : m0 + RT);",
        "  float acc[64] __attribute__((aligned(64)));",
        "  __global const float *a_o = b2 + a_start;",
        "  for (int k = 0; k < n; ++k) ko[k] = min(k, 3);",
        "  const float16 x1 = (float16)(1.0f, 2.0f);",
        "  if (ke < K) continue;",
        "  x = y;",
    ]
    assert outline.declared(lines) == {
        "m0": "const int m0",
        "m1": "const int m1",
        "acc": "float *acc",
        "a_o": "__global const float *a_o",
        "x1": "const float16 x1",
    }


@pytest.mark.parametrize("k, apart", [(768, True), (128, False)])
def test_what_is_done_with_the_sums_of_long_products_is_a_function(rng, k, apart):
    """Of short ones a call for each row tile would count."""

    def f(x, w, b, s):
        return fnp.tanh(x @ w + b) * s + s

    args = [
        fnp.asarray(rng.standard_normal(s) / 9, np.float32) for s in ((96, k), (k, 640), 640, ())
    ]
    text = lower_function(f, args, profile=AVX512).plan.programs[0].source
    assert [("FX_STAGE void stage_0_" + x) in text for x in ("sums", "end")] == [apart] * 2
    assert ("FX_LIST void stage_0(" in text) == apart
    np.testing.assert_allclose(fx.jit(f)(*args), f(*args), rtol=1e-4, atol=1e-4)
