"""Leaves that one function goes over come as a table: which do, and their numbers stay."""

from __future__ import annotations

import numpy as np
import pytest

import fx
from lowering.emit.scope import Stage
from lowering.nest import NestBuffer
from lowering.planning import tables

F32 = np.dtype(np.float32)


def stage(*calls: str, loop: bool = False, buffers: int = 20) -> Stage:
    lines = [f"  {call};" for call in calls]
    if loop:
        lines = ["  for (long k = 0; k < n1; ++k) {", *(f"  {x}" for x in lines), "  }"]
    return Stage("\n".join(lines), [NestBuffer.raw(F32) for _ in range(buffers)], [8, 3], 1, 1)


PAIRS = [f"@p0_(0, b{2 * k}, b{2 * k + 1}, n0)" for k in range(10)]
SHARED = [
    "@p0_(k, b0, b1, b2)",
    *(f"@p0_(k, b{2 * k + 1}, b1, b{2 * k + 2})" for k in range(1, 10)),
]


@pytest.mark.parametrize("loop", [False, True])
def test_calls_that_differ_in_their_buffers_alone_are_a_loop(loop):
    made, order = tables.tabled(stage(*PAIRS, loop=loop))
    assert made.table and order == list(range(20))
    call = "@p0_(0, *(__global float **)b[j + 0], *(__global float **)b[j + 1], n0);"
    assert call in made.text and "j < 20; j += 2" in made.text
    assert made.text.count("for (") == 1 + loop
    assert (
        made.signature("f")
        == "FX_STAGE void f(const long item, uchar **b, const long n0, const long n1)"
    )


def test_buffers_that_all_have_come_last():
    made, order = tables.tabled(stage(*SHARED, loop=True, buffers=21))
    assert order == [0, 2, *range(3, 21), 1]
    assert "b[j + 0], *(__global float **)b[20], *(__global float **)b[j + 1])" in made.text


UNLIKE = {
    "few": PAIRS[: tables.MANY - 1],
    "two functions": [*PAIRS[:9], PAIRS[9].replace("p0", "p1")],
    "other numbers": [*PAIRS[:9], PAIRS[9].replace("n0", "n1")],
    "what some have": [*PAIRS[:8], "@p0_(0, b0, b16, n0)", "@p0_(0, b17, b18, n0)"],
    "another order": [*PAIRS[:9], "@p0_(0, b0, b0, n0)"],
    "other lines": [*PAIRS, "b0 += n1"],
}


@pytest.mark.parametrize("name", UNLIKE)
def test_others_stay_as_they_are(name):
    used = len({b for call in UNLIKE[name] for b in call.split() if b.startswith("b")})
    given = stage(*UNLIKE[name], buffers=used)
    made, order = tables.tabled(given)
    assert made is given and order == list(range(used))


@pytest.mark.driver
@pytest.mark.parametrize("donated", [(), (0,)])
@pytest.mark.parametrize("size", [3, 40])
def test_a_tree_of_leaves_with_a_number_of_all(donated, size):
    """The number is no leaf's own, and other leaves are gone over by a function of their own."""

    def step(leaves, rate, others):
        return [x - rate * x * x for x in leaves], [x.sum() for x in others]

    rng = np.random.default_rng(size)
    leaves = [rng.normal(size=size).astype(np.float32) for _ in range(11)]
    others = [rng.normal(size=(5, 4)).astype(np.float32) for _ in range(2)]
    rate = np.float32(0.3)
    f = fx.jit(lambda leaves, rate: step(leaves, rate, [])[0], donate_argnums=donated)
    text = f.lower(leaves, rate).compile().as_text()
    if fx.devices()[0].driver == "pocl":
        assert "uchar **b" in text
    for a, b in zip(f(list(map(fx.numpy.array, leaves)), rate), leaves, strict=True):
        np.testing.assert_allclose(a, b - rate * b * b, rtol=1e-5, atol=1e-6)
    for a, b in zip(fx.jit(step)(leaves, rate, others)[1], others, strict=True):
        np.testing.assert_allclose(a, b.sum(), rtol=1e-5)
