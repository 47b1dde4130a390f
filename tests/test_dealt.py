"""NumPy's loops by all cores: the same bits, whatever goes wrong meanwhile."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import numpy as np
import pytest

import fx
import fx.numpy as fnp
from fx import core, lax
from fx.prims import dealt
from fx.prims.coverage import cases_of

ELEMENTWISE = sorted(n for n, p in core.PRIMITIVES.items() if p.elementwise)


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_blocks_have_the_bits_of_the_whole(name, monkeypatch):
    monkeypatch.setattr(dealt, "BLOCK", 64)
    p = core.PRIMITIVES[name]
    case = next(iter(cases_of(p)))
    dtypes = case.dtypes or ("f4",) * len(case.shapes)
    rng = np.random.default_rng(0)
    xs = [(rng.normal(size=(29, 37)) * 5).astype(d) for d in dtypes]

    def rule(*given):
        return p.numpy(*given, **case.params)

    with np.errstate(all="ignore"):
        expected = np.asarray(rule(*xs))
        for each in (rule, p.numpy) if not case.params else (rule,):
            got = np.asarray(dealt.dealt(each)(*xs))
            assert (got.shape, got.dtype) == (expected.shape, expected.dtype)
            assert got.tobytes() == expected.tobytes()
        turned = dealt.dealt(rule)(*(x.T for x in xs))
    assert np.asarray(turned).tobytes() == np.ascontiguousarray(expected.T).tobytes() or (
        np.array_equal(np.asarray(turned), expected.T, equal_nan=True)
    )


def test_large_functions_are_dealt(monkeypatch):
    """Those of fx.numpy and of fx.lax; small ones are not."""
    asked = []
    monkeypatch.setattr(dealt, "by_cores", lambda work, items: asked.append(list(map(work, items))))
    x = fnp.linspace(0.1, 2.0, dealt.LONG + 5)
    small = fnp.linspace(0.1, 2.0, 1000)
    for f in (fnp.exp, fx.nn.sigmoid, lax.erf):
        for _ in range(4):
            got = f(x)
            f(small)
        assert asked, f
        np.testing.assert_array_equal(np.asarray(got[:1000]), np.asarray(f(x[:1000])))
        asked.clear()


def test_conversions_on_the_way_are_whole():
    """Their rule takes a dtype beside the operand."""
    x = fnp.linspace(-2.0, 2.0, dealt.LONG).reshape(512, -1)
    slope = fx.grad(lambda x: (fx.nn.softmax(x) ** 2).sum())
    found = [np.asarray(slope(x)) for _ in range(5)]
    np.testing.assert_array_equal(found[0], found[4])
    for _ in range(4):
        half = x.astype("f2")
    assert half.dtype == np.float16


def test_an_error_of_a_helper_is_the_callers(monkeypatch):
    monkeypatch.setattr(dealt, "_cores", lambda: 3)
    me, others = threading.get_ident(), threading.Event()

    def work(item):
        if threading.get_ident() != me:
            others.set()
            raise MemoryError("too much")
        others.wait(5)

    with pytest.raises(MemoryError, match="too much"):
        dealt.by_cores(work, range(4))
    done = []
    dealt.by_cores(done.append, range(100))
    assert sorted(done) == list(range(100))


FORKS = """
import os
from fx.prims import dealt
dealt._cores = lambda: 2
dealt.by_cores(lambda item: None, range(4))
child = os.fork()
done = []
dealt.by_cores(done.append, range(9))
assert sorted(done) == list(range(9))
if not child:
    os._exit(7)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_forked_child_has_a_pool_of_its_own():
    subprocess.run([sys.executable, "-c", FORKS], check=True, timeout=600)
