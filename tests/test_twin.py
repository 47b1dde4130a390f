"""Twin: a builder at rest has a copy of itself, which makes pieces; without it all is the same."""

from __future__ import annotations

import os
import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from plans import run
from test_parts import (
    SCALE,
    asked,  # noqa: F401 (a fixture)
    check,
    device,  # noqa: F401 (a fixture)
    product,
    result,
)

from lowering.compile import make_plan
from lowering.graph import Builder
from lowering.pocl import builders, lean
from lowering.pocl.apart import Apart
from lowering.profile import AVX2
from lowering.runtime import cache

TEXT = """__kernel void fx(const int stage, __global uchar *p0) {
  const long item = get_group_id(0);
  switch (stage) {
  case 0: p0[item] = 1; break;
  }
}
"""

pytestmark = pytest.mark.driver


def children(pid: int) -> list[int]:
    try:
        return [int(x) for x in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def within_seconds(what) -> bool:
    """Or within ten minutes, where other processes leave it little of the machine."""
    for _ in range(30000):
        if what():
            return True
        time.sleep(0.02)
    return False


@pytest.fixture
def builder(device):  # noqa: F811 (the fixture)
    """One that has built something and has rested; its twin."""
    if not Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").exists():
        pytest.skip("nothing says which children a process has")
    (made,) = builders._builders
    assert not children(made.process.pid)
    job = lean.job(TEXT, "-w", f"twin{time.monotonic_ns()}", [("fx", 1, 1)])
    assert made.build(*job) is not None
    assert within_seconds(lambda: children(made.process.pid))
    (twin,) = children(made.process.pid)
    return made, twin


def test_a_twin_makes_pieces_and_stays(device, builder, asked):  # noqa: F811
    made, twin = builder
    check(product(40, SCALE), device)
    ((known, texts),) = asked
    assert not known and len(texts) == 1
    assert children(made.process.pid) == [twin] and Apart.able
    check(product(64, 2 * SCALE), device, 2 * SCALE)
    assert asked[1][0] and children(made.process.pid) == [twin]


def test_a_twin_and_a_fork_make_equal_bits(device, builder, tmp_path):  # noqa: F811
    plan = product(40, SCALE)
    with_twin = result(plan, device).tobytes()
    device.programs.clear()
    cache.clear()  # what is not yet on disk
    shutil.rmtree(tmp_path)
    builders.close()
    builders.prepare()
    (made,) = builders._builders
    assert within_seconds(lambda: made.ready) and not children(made.process.pid)
    assert result(plan, device).tobytes() == with_twin


def little(scale: float):
    """A plan of one program with a short stage."""
    b = Builder()
    x = b.input((1000,), np.dtype(np.float32))
    y = b.const(np.float32(scale), np.dtype(np.float32), (1000,))
    return make_plan(b.graph([b.map("add", b.map("mul", x, x), y)]), AVX2)


def test_little_goes_to_a_twin_and_not_to_a_fork(device, monkeypatch):  # noqa: F811
    """Its stage is a piece of its own where there is a twin; else all is one text."""
    x, pieces = np.linspace(-1, 1, 1000, dtype=np.float32), []
    join = builders.Builder.join

    def noted(self, *job, early):
        code, made = join(self, *job, early=early)
        pieces.append(len(made))
        return code, made

    monkeypatch.setattr(builders.Builder, "join", noted)
    for k in range(2):
        (y,) = run(little(SCALE + k), device, [x])
        np.testing.assert_allclose(y, x * x + np.float32(SCALE + k), rtol=1e-6)
        assert pieces == [0, 1][: k + 1]
        if k == 0:  # it has built something, and now rests
            assert within_seconds(lambda: children(builders._builders[0].process.pid))


def test_a_twin_that_dies_is_done_without(device, builder, asked):  # noqa: F811
    made, twin = builder
    os.kill(twin, signal.SIGKILL)
    check(product(40, SCALE), device)
    assert len(asked) == 1 and asked[0][1] and Apart.able
    assert made.alive and twin not in children(made.process.pid)


def test_a_twin_ends_with_its_builder(builder):
    made, twin = builder
    made.process.kill()
    assert within_seconds(lambda: not Path(f"/proc/{twin}").exists())
