"""Built programs in memory: the newest and those in use, no others."""

from __future__ import annotations

import gc
import os
import weakref

import numpy as np
import pytest

import fx
from lowering.plan import Buffer, BufferRef, Launch, Plan, Program
from lowering.runtime import devices, programs
from lowering.runtime.counters import counters
from lowering.runtime.execute import Executable

pytestmark = pytest.mark.driver


@pytest.fixture
def shared():
    return devices.default_device()


def own_program(k):
    text = f"kernel void one(global float *x) {{ x[0] = {os.getpid()} + {k}; }}"
    buffer = Buffer(0, "input", 64, (16,), np.dtype(np.float32))
    step = Launch(0, "one", (1,), (BufferRef(0),))
    return Plan((0,), (0,), (buffer,), 0, (Program(text),), (step,))


def test_programs_that_nothing_uses_are_let_go(shared, monkeypatch):
    used = Executable(own_program(1000), shared)
    monkeypatch.setattr(programs, "KEEP", 500)
    gone = [weakref.ref(Executable(own_program(k), shared)._built[0]) for k in range(1001, 1031)]
    gc.collect()
    assert sum(len(source) for source, _ in shared.programs) <= 500
    assert sum(built() is not None for built in gone) <= 10
    before = counters()
    again = Executable(own_program(1000), shared)
    assert again._built[0] is used._built[0]  # what an executable uses stays known
    assert (counters() - before).compiles == 0


def test_clear_caches_lets_go_of_programs(shared):
    built = weakref.ref(Executable(own_program(2000), shared)._built[0])
    assert built() is not None
    fx.clear_caches()
    gc.collect()
    assert built() is None and not shared.programs
