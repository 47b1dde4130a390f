"""Plans: what check() refuses, what counts as a launch, pickling."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from test_runtime import ADD, f32, launch, plan

from lowering import fuse
from lowering import graph as g
from lowering.compile import make_plan
from lowering.errors import DeviceError
from lowering.plan import ALIGN, BufferRef, CondStep, CopyStep, IterArg, LoopStep
from lowering.planning import planner
from lowering.profile import AVX2, GPU


def test_counting_and_pickling():
    p = plan(
        [f32(0, "input"), f32(1, "temp", 1)],
        [launch("bump", 0), LoopStep((launch("bump", 0), launch("bump", 0)), 5),
         CondStep(BufferRef(1), ((launch("bump", 0),), ()))],
        (0,), (0,),
    )  # fmt: skip
    assert p.launches == 12
    assert p.host_steps == 1
    assert len(list(p.walk())) == 6
    assert ADD.portable
    assert pickle.loads(pickle.dumps(ADD)) == ADD


@pytest.mark.parametrize(
    "buffers, steps, message",
    [
        ([f32(0, "temp", offset=3)], [], "unaligned"),
        ([f32(0, "temp", offset=ALIGN)], [], "outside the arena"),
        ([f32(0, "const")], [], "no data"),
        ([f32(0, "input"), f32(1, "output", 2, alias=0)], [], "cannot alias"),
        ([f32(0, "input")], [launch("bump", 7)], "no buffer 7"),
        ([f32(0, "input")], [CopyStep(BufferRef(0), BufferRef(0, 32), 64)], "leave buffer"),
        ([f32(0, "input")], [launch("later", 0, 0, IterArg())], "outside a loop"),
        ([f32(0, "input")], [LoopStep((), None)], "count or flag"),
        ([f32(0, "input"), f32(1, "output")], [LoopStep((), 1, ((0, 1),))], "swap of"),
        ([f32(0, "input")], [launch("bump", 0, local=(3,))], "local size"),
    ],
)
def test_invalid_plans_are_refused(buffers, steps, message):
    with pytest.raises(ValueError, match=message):
        plan(buffers, steps, (), ())


def test_arrays_of_more_than_two_billion_elements_are_counted_with_64_bits():
    """Elementwise work and sums do; what cannot says so before anything runs."""
    b = g.Builder()
    x = b.input(((1 << 31) + 5,), np.int8)
    made = make_plan(b.graph([b.map("add", x, x)]), AVX2)
    text = made.programs[0].source
    assert "for (long i0 = s0;" in text and "int i0" not in text
    b = g.Builder()
    x = b.input(((1 << 31) + 5,), np.int8)
    with pytest.raises(DeviceError, match="count with 32 bits"):
        make_plan(b.graph([b.cumscan("add", x, 0)]), AVX2)
    b = g.Builder()
    x = b.input(((1 << 31) + 5,), np.int8)
    text = make_plan(b.graph([b.map("add", x, x)]), GPU).programs[0].source
    assert "for (long i0 = s0" in text and "int i0" not in text


@pytest.mark.parametrize("view", ["transpose", "reshape", "reverse"])
def test_long_chains_of_operations_and_views_are_planned(view, monkeypatch):
    """However many places a nest cannot go past, the graph is fused a few times only."""
    fused = []
    monkeypatch.setattr(planner, "fuse", lambda *a, **k: fused.append(1) or fuse.fuse(*a, **k))
    b = g.Builder()
    x = b.input((4, 4), np.float32)
    for k in range(600):
        x = b.map("add", x, b.const(k, np.float32))
        if view == "reverse":
            x = b.reverse(x, (0,))
            continue
        x = b.transpose(x, (1, 0))
        if view == "reshape":
            x = b.transpose(b.reshape(x, (2, 8)), (1, 0))
            x = b.reshape(x, (4, 4))
    make_plan(b.graph([x]), AVX2)
    assert len(fused) <= 8


@pytest.mark.parametrize(
    ("changes", "said"), [({}, 0), ({"schedule": "gpu"}, 0), ({"driver": "intel"}, 1)]
)
def test_intels_compiler_is_told_that_items_are_groups_of_one(changes, said):
    b = g.Builder()
    graph = b.graph([b.map("exp", b.input((64,), np.float32))])
    text = make_plan(graph, AVX2.with_(**changes)).programs[0].source
    assert text.count("__kernel") == 1 and text.count("intel_vec_len_hint(1)") == said


def test_programs_say_which_instructions_they_are_compiled_for():
    """An LLVM that does not know the processor would compile for another with fewer."""
    b = g.Builder()
    graph = b.graph([b.convert(b.input((100,), np.int32), np.dtype("float32"))])
    features = frozenset({"avx", "avx2", "fma", "f16c"})
    text = make_plan(graph, AVX2.with_(features=features)).programs[0].source
    pushed = '#pragma clang attribute push(__attribute__((target("avx,avx2,fma,f16c")))'
    assert text.count(pushed) == 1 and text.endswith("#pragma clang attribute pop\n")
    assert "#define convert_float8(x) __builtin_convertvector((x), float8)" in text
    assert "__AVX512F__ 1" not in text and "#define __AVX__ 1" in text
    assert (
        "target("
        not in make_plan(graph, AVX2.with_(driver="intel", features=features)).programs[0].source
    )
