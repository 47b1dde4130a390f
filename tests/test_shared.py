"""Shared loops of products: the same bits as loops of their own, and one text for many layers."""

from __future__ import annotations

import re

import numpy as np
import pytest

import fx
import fx.numpy as fnp
from benchmarks.driverless import lower_function
from fx import lax, nn
from lowering import profile
from lowering.pocl import parts
from lowering.runtime import devices
from lowering.templates import access, shared

pytestmark = pytest.mark.lowering


def dense(x, w, b):
    return fnp.tanh(x @ w + b)


def turned(x, w, b):
    return fnp.tanh(fnp.swapaxes(x, -1, -2) @ w + b)


def of_rows(x, w, b):
    return fnp.tanh(x @ w.T + b)


def masked(x, w, b):
    z = fnp.einsum("hik,hjk->hij", x, w) + b
    rows, columns = (lax.broadcasted_iota(np.int32, z.shape, k) for k in (1, 2))
    return nn.softmax(fnp.where(columns <= rows + 3, z, -fnp.inf))


def convolved(x, w, b):
    z = nn.relu(lax.conv_general_dilated(x, w, (1, 1), "SAME", dimension_numbers=LAST) + b)
    return lax.reduce_window(z, -fnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")


def strided(x, w, b):
    z = lax.conv_general_dilated(x, w, (2, 1), ((2, 0), (1, 3)), dimension_numbers=LAST)
    return nn.relu(z + b) * b


def narrow(x, w, b):
    return fnp.tanh((x.astype("bfloat16") @ w.astype("bfloat16")).astype("float32") + b)


LAST = ("NHWC", "HWIO", "NHWC")
CASES = {
    "odd": (dense, (133, 70), (70, 83), (83,)),
    "one row of tiles": (dense, (24, 900), (900, 330), (330,)),
    "columns of a tile": (dense, (260, 129), (129, 16), (16,)),
    "few columns": (dense, (300, 512), (512, 10), (10,)),
    "several depths": (dense, (70, 3000), (3000, 64), (64,)),
    "matrix of the result's size": (dense, (300, 260), (260, 530), (300, 530)),
    "batch": (dense, (3, 5, 90, 64), (3, 5, 64, 96), (96,)),
    "batch of one side": (dense, (7, 65, 80), (80, 130), (130,)),
    "turned": (turned, (500, 210), (500, 100), (100,)),
    "rows of both": (of_rows, (130, 300), (200, 300), (200,)),
    "masked": (masked, (3, 130, 64), (3, 150, 64), (150,)),
    "pooled": (convolved, (3, 12, 20, 5), (3, 3, 5, 40), (40,)),
    "bfloat16": (narrow, (130, 300), (300, 200), (200,)),
    "strided": (strided, (2, 15, 21, 16), (3, 5, 16, 33), (33,)),
}


@pytest.mark.driver
@pytest.mark.parametrize("case", CASES)
def test_bits_are_those_of_loops_of_their_own(case, monkeypatch, rng):
    f, *shapes = CASES[case]
    args = [rng.standard_normal(s).astype(np.float32) / 9 for s in shapes]
    served = shared.Shared.serves
    asked: list[bool] = []

    def noted(read):
        asked.append(served(read))
        return asked[-1]

    results = []
    for serves in (noted, lambda read: False):
        monkeypatch.setattr(shared.Shared, "serves", staticmethod(serves))
        results.append(np.asarray(fx.jit(lambda *a: f(*a))(*args)))
    assert any(asked) or devices.default_device().profile.schedule != "cpu"
    np.testing.assert_array_equal(*results)
    rtol = 1e-2 if f is narrow else 1e-3  # sums in another order may round to its neighbour
    np.testing.assert_allclose(results[0], f(*map(fnp.asarray, args)), rtol=rtol, atol=1e-4)


def test_layers_that_differ_in_sizes_are_one_function(rng):
    def f(x, *layers):
        for w, b in layers:
            x = convolved(x, w, b)
        return x

    layers = [((3, 3, 8, 32), (32,)), ((3, 3, 32, 64), (64,)), ((3, 3, 64, 64), (64,))]
    layers = [tuple(rng.standard_normal(s).astype(np.float32) for s in layer) for layer in layers]
    x = rng.standard_normal((8, 48, 48, 8)).astype(np.float32)
    (program,) = lower_function(f, [x, *layers], profile=profile.AVX512).plan.programs
    assert len(re.findall(r"FX_STAGE void \w+_end\(", program.source)) == 1
    text = parts.read(program.source)
    assert text is not None
    assert {
        "places",
        "begin_f32_f32_f32",
        "next_f32x16_8x2_top_none_rows_f32_f32",
    } <= text.keys.keys()


def test_programs_share_the_loops_of_products(rng):
    """What a part is called in a link says all that it is made of."""
    known = []
    for act, k, n in ((fnp.tanh, 300, 200), (nn.relu, 512, 384)):

        def f(x, w, b, act=act):
            return act(x @ w + b)

        args = [rng.standard_normal(s).astype(np.float32) for s in ((256, k), (k, n), (n,))]
        (program,) = lower_function(f, args, profile=profile.AVX512).plan.programs
        text = parts.read(program.source)
        assert text is not None
        known.append(text.keys)
    ours = [x for x in known[0] if x.startswith(("next_", "begin_"))]
    assert len(ours) == 2
    assert [known[0][x] for x in ours] == [known[1][x] for x in ours]


@pytest.mark.parametrize("size, ours", [(20, True), (260, False)])
def test_lists_of_depths_fit_on_a_stack(rng, size, ours):
    """The gradient of a convolution's filter sums over all places of all images."""

    def f(x, d):
        def g(w):
            return (
                lax.conv_general_dilated(x, w, (1, 1), "SAME", dimension_numbers=LAST) * d
            ).sum()

        return fnp.tanh(fx.grad(g)(fnp.ones((3, 3, 8, 32), np.float32)))

    args = [rng.standard_normal((1, size, size, n)).astype(np.float32) for n in (8, 32)]
    (program,) = lower_function(f, args, profile=profile.AVX512).plan.programs
    assert re.search(r"int ko\[", program.source)
    assert ("places(ko" in program.source) == ours
    most = max(int(n) for n in re.findall(r"int \w+\[(\d+)\];", program.source))
    assert most <= shared.MOST_DEPTHS


def test_small_products_have_loops_of_their_own(rng):
    args = [rng.standard_normal(s).astype(np.float32) for s in ((64, 32), (32, 48), (48,))]
    (program,) = lower_function(dense, args, profile=profile.AVX512).plan.programs
    assert "next_f32" not in program.source


@pytest.mark.parametrize("seed", range(40))
def test_digits_of_a_number_lead_where_its_axes_do(seed):
    rng = np.random.default_rng(seed)
    axes = [(int(rng.integers(1, 6)), int(rng.integers(0, 50))) for _ in range(rng.integers(1, 4))]
    split: list[tuple[int, int]] = []  # the number's digits in another order, parts of its axes
    place = 1
    for n, _ in reversed(axes):
        for p in sorted({k for k in range(1, n + 1) if n % k == 0})[:: int(rng.integers(1, 3))]:
            if n % p == 0 and p > 1:
                split.append((p, place))
                place, n = place * p, n // p
        split.append((n, place))
        place *= n
    rng.shuffle(split)
    counted = [(int(n), int(s)) for n, s in split]
    made = access.digits(counted, axes)
    assert made is not None

    def led(number, digits):
        total = 0
        for n, step in reversed(digits):
            total += number % n * step
            number //= n
        return total

    for h in range(place):
        assert led(h, made) == led(led(h, counted), axes)


def test_digits_that_axes_cut_unevenly_are_refused():
    assert access.digits([(5, 3), (3, 1)], [(3, 7), (5, 2)]) is None
