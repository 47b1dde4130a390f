"""Tracing, rewriting, fusing and emitting take time in proportion to the program: twice as many
operations are twice as many function calls of Python, whatever hangs on what.
"""

from __future__ import annotations

import sys

import numpy as np
import pytest

import fx
import fx.numpy as fnp
from benchmarks.driverless import lower_function
from lowering.planning.planner import Planner

pytestmark = pytest.mark.lowering

X = np.ones(1000, np.float32)


def halved(values):
    while len(values) > 1:
        values = [sum(values[k : k + 2]) for k in range(0, len(values), 2)]
    return values[0]


def chain(n):
    def f(x):
        for _ in range(n):
            x = fnp.sin(x)
        return x

    return f, (X,)


def tree(n):
    return lambda x: halved([x * float(k) for k in range(n // 2)]), (X,)


def inputs(n):
    return lambda *xs: halved(list(xs)), (X,) * n


def recurrent(n):
    def f(w, h, xs):
        for k in range(n // 4):
            h = fnp.tanh(h @ w + xs[k])
        return h

    return f, tuple(np.ones(s, np.float32) for s in ((16, 16), (4, 16), (n // 4, 4, 16)))


def pieces(n):
    return lambda x: fnp.concatenate([x * float(k) for k in range(n // 2)]), (X,)


def stacked(n):
    return lambda x: fnp.stack([fnp.sin(x * float(k)) for k in range(n // 3)]), (X,)


def gradient(of):
    def make(n):
        f, args = of(n)
        return fx.grad(lambda *args: f(*args).sum()), args

    return make


PROGRAMS = {f.__name__: f for f in (chain, tree, inputs, recurrent, pieces, stacked)}
PROGRAMS |= {f"gradient of {f.__name__}": gradient(f) for f in (chain, recurrent)}


def calls(make, n) -> int:
    """The function calls that lowering a program of n operations takes, those into C too."""
    function, args = make(n)
    count = 0

    def note(frame, event, arg):
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        lower_function(function, args)
    finally:
        sys.setprofile(before)
    return count


@pytest.mark.parametrize("name", PROGRAMS)
def test_twice_the_operations_are_twice_the_work(name):
    make = PROGRAMS[name]
    calls(make, 40)  # what is kept once it was asked for
    few, many = calls(make, 400), calls(make, 800)
    assert many < 2.5 * few


class Walked(list):
    """A list that counts how often it is walked through."""

    walks = 0

    def __iter__(self):
        Walked.walks += 1
        return super().__iter__()


@pytest.mark.parametrize("donated", ((), (0,)))
def test_no_output_walks_over_all_buffers(monkeypatch, donated):
    """Each asked all buffers which arguments are taken: 10,000 leaves were 50 million questions."""
    begin = Planner.__init__

    def counting(self, *args):
        begin(self, *args)
        self.slots = Walked()

    monkeypatch.setattr(Planner, "__init__", counting)
    Walked.walks = 0
    lowered = lower_function(lambda xs: [x + 1 for x in xs], ([X] * 50,), donated)
    assert len(lowered.plan.outputs) == 50
    assert sum(b.alias is not None for b in lowered.plan.buffers) == 50 * len(donated)
    assert Walked.walks < 10
