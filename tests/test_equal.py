"""Equal nests are scheduled and written once, and what differs is not taken for equal."""

from __future__ import annotations

import numpy as np
import pytest

from lowering.compile import make_plan
from lowering.graph import Builder
from lowering.planning import equal
from lowering.profile import AVX2

SHAPES = [(40, 3), (40, 3), (7,), (40, 3), (7,), ()]


@pytest.fixture
def written(monkeypatch) -> list:
    """The nests that are written."""
    found: list = []
    emit = equal.emit

    def noted(nest, chosen):
        found.append(nest)
        return emit(nest, chosen)

    monkeypatch.setattr(equal, "emit", noted)
    return found


def leaves(scales: list[float], shapes=SHAPES):
    """The plan of a function that adds a scaled leaf to each of others."""
    b = Builder()
    outs = []
    for k, shape in enumerate(shapes):
        x, y = b.input(shape, np.float32), b.input(shape, np.float32)
        scale = b.const(np.float32(scales[k % len(scales)]), np.dtype(np.float32), shape)
        outs.append(b.map("add", x, b.map("mul", y, scale)))
    return make_plan(b.graph(outs), AVX2)


def test_equal_leaves_are_written_once(written):
    leaves([0.5])
    assert len(written) == 3


def test_the_plan_is_that_of_nests_written_one_by_one(written, monkeypatch):
    together = leaves([0.5, 2.0])
    count = len(written)
    with monkeypatch.context() as patched:
        patched.setattr(equal, "_key", lambda nest: None)
        apart = leaves([0.5, 2.0])
    assert count < len(SHAPES) == len(written) - count
    assert [p.source for p in together.programs] == [p.source for p in apart.programs]
    assert list(together.walk()) == list(apart.walk())


def test_constants_that_compare_equal_are_told_apart(written):
    leaves([0.0, -0.0], [(7,), (7,)])
    assert len(written) == 2
