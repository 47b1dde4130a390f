"""Stock: a builder at rest makes what products and teams share, and whoever builds finds it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_parts import asked, device  # noqa: F401 (fixtures)
from test_twin import TEXT, children, within_seconds

import fx
from fx import lax, nn
from fx.executable import graph_of
from lowering import saved
from lowering.compile import make_plan
from lowering.graph import Builder
from lowering.pocl import ahead, builders, lean, parts, shelf, stock
from lowering.profile import AVX2, AVX512
from lowering.runtime import cache, later
from lowering.runtime.counters import counts

F32 = np.dtype(np.float32)


@pytest.fixture(autouse=True)
def in_stock_as_for_users(monkeypatch):
    monkeypatch.delenv("FX_STOCK", raising=False)  # conftest.py: other tests have none


def in_stock(profile) -> set[str]:
    """The keys of all parts that are made."""
    programs = [p for g in stock.graphs() for p in make_plan(g, profile).programs]
    texts = [text for p in programs if (text := parts.read(p.source)) is not None]
    modules = [m for text in texts for m in text.alone()]
    assert sum(len(m.keys) for m in modules) >= len({key for m in modules for key in m.keys}) > 8
    return {key for m in modules for key in m.keys}


def product(m: int, n: int, turned: bool = False):
    b = Builder()
    x, y = b.input((m, 300), F32), b.input((n, 300) if turned else (300, n), F32)
    return b.graph([b.contract(x, y, ((1,), (int(turned),)))])


@pytest.mark.parametrize("profile", [AVX2, AVX512], ids=["AVX2", "AVX512"])
@pytest.mark.parametrize("turned", [False, True])
def test_products_of_other_sizes_have_only_parts_that_are_in_stock(profile, turned):
    (program,) = make_plan(product(640, 384, turned), profile).programs
    text = parts.read(program.source)
    assert text is not None and text.keys
    assert set(text.keys.values()) <= in_stock(profile)
    main, lists = text.deal(list(text.keys.values()), 1)
    assert not lists and len(main.source) < len(program.source) / 3


def test_a_part_that_calls_others_is_dealt_behind_them():
    (program,) = make_plan(product(640, 384), AVX512).programs
    text = parts.read(program.source)
    assert text is not None
    (whole,) = (name for name in text.keys if name.startswith("whole_"))
    _, ((module, *_),) = text.deal((), 1)
    leaves = {key for name, key in text.keys.items() if name.startswith(("tile_", "panel_"))}
    assert leaves <= set(module.keys)
    alone = {m.keys: m.calls for m in text.alone()}
    assert leaves < set(alone[text.keys[whole],])


def alike() -> Iterator[Any]:
    """What is common, of other sizes."""
    for kind in ("add", "max", "min"):
        b = Builder()
        yield b.graph([b.reduce(kind, b.input((3_000_001,), F32), (0,))])
    yield product(1024, 640)
    yield product(1024, 640, turned=True)
    b = Builder()
    yield b.graph([b.contract(b.input((200, 320), F32), b.input((200, 640), F32), ((0,), (0,)))])
    for n, count in ((8, 9000), (16, 3000), (32, 1000), (64, 300)):
        b = Builder()
        x, y = b.input((count, n, n), F32), b.input((count, n, n), F32)
        yield b.graph([b.contract(x, y, ((2,), (1,)), ((0,), (0,)))])
    for kind in ("add", "max"):
        b = Builder()
        yield b.graph([b.reduce(kind, b.input((9, 100, 4096), F32), (2,))])
    for shape in ((16, 500, 768), (1000, 768)):
        yield rows(nn.softmax, shape)
        yield rows(normalised, shape, shape[-1:], shape[-1:])


def normalised(x, gain, bias):
    """As it is written."""
    centred = x - x.mean(-1, keepdims=True)
    variance = (centred * centred).mean(-1, keepdims=True)
    return centred * lax.rsqrt(variance + 1e-5) * gain + bias


def rows(f, *shapes):
    """The graph of a function."""
    args = [fx.ShapeDtypeStruct(shape, F32) for shape in shapes]
    return graph_of(fx.make_jaxpr(f)(*args))


@pytest.mark.parametrize("profile", [AVX2, AVX512], ids=["AVX2", "AVX512"])
def test_common_programs_are_the_same_for_other_sizes(profile):
    made, wanted = list(stock.common()), list(alike())
    assert len(made) == len(wanted)
    for one, other in zip(made, wanted):
        assert make_plan(one, profile).programs == make_plan(other, profile).programs


def kept(key: str) -> bool:
    return cache.load(stock.KIND, key) is not None


@pytest.mark.driver
def test_who_builds_after_a_rest_finds_all_parts(device, asked, tmp_path, monkeypatch):  # noqa: F811
    (made,) = builders._builders
    stock.ask(device)
    later.settle()
    job = lean.job(TEXT, "-w", f"stock{os.getpid()}", [("fx", 1, 1)])
    assert made.build(*job) is not None  # and not the answer to what was told
    assert within_seconds(lambda: list(tmp_path.glob(f"v*/{stock.KIND}/*/*")))  # others come first
    from plans import run

    rng = np.random.default_rng(0)

    def result(graph):
        plan = make_plan(graph, device.profile)
        x, y = (rng.standard_normal(plan.buffers[k].shape).astype(F32) for k in plan.inputs)
        (got,) = run(plan, device, [x, y])
        return got, x @ y

    before = counts.compiles
    np.testing.assert_allclose(*result(product(640, 384)), rtol=1e-4, atol=1e-4)
    assert counts.compiles == before and not asked  # a program that is common
    b = Builder()
    x, y = b.input((640, 300), F32), b.input((300, 384), F32)
    z = b.contract(x, y, ((1,), (0,)))
    got, want = result(b.graph([b.map("mul", z, z)]))
    np.testing.assert_allclose(got, want**2, rtol=1e-3, atol=1e-3)
    assert counts.compiles == before + 1
    ((known, _),) = asked  # a program that has some of their parts
    assert known
    later.settle()
    stock.ask(device)  # by now it is known to be there
    later.settle()
    assert not made._owed
    monkeypatch.setattr(saved, "VERSIONS", "another")  # whose parts may be others
    monkeypatch.setenv("FX_STOCK", "0")
    stock.ask(device)
    later.settle()
    assert not made._owed
    monkeypatch.delenv("FX_STOCK")
    stock.ask(device)
    later.settle()
    assert made._owed == 1


@pytest.mark.driver
def test_what_makes_it_ends_with_its_builder(device, monkeypatch):  # noqa: F811
    (made,) = builders._builders
    if not Path(f"/proc/{made.process.pid}/task/{made.process.pid}/children").exists():
        pytest.skip("nothing says which children a process has")
    stock.ask(device)
    later.settle()
    job = lean.job(TEXT, "-w", f"ends{os.getpid()}", [("fx", 1, 1)])
    assert made.build(*job) is not None
    assert within_seconds(lambda: len(children(made.process.pid)) == 2)  # one is the twin
    there = children(made.process.pid)
    made.process.kill()
    assert within_seconds(lambda: not any(Path(f"/proc/{child}").exists() for child in there))


def test_a_shelf_makes_nothing_until_it_is_asked_and_once(monkeypatch, tmp_path):
    file = tmp_path / "made"

    def make(builds, *words):
        with open(file, "a") as f:
            f.write(" ".join(words))

    def nothing(source: str, options: str) -> None:
        pass

    monkeypatch.setattr(shelf, "_make", make)
    empty = shelf.Shelf()
    empty.work(nothing, ())
    assert not empty.busy
    empty.take(nothing, "this", "that")
    empty.work(nothing, ())
    assert within_seconds(lambda: not empty.busy)
    assert file.read_text() == "this that"
    empty.work(nothing, ())
    assert not empty.busy and file.read_text() == "this that"


def test_a_full_disk_keeps_nothing_and_says_so_once(monkeypatch, tmp_path):
    monkeypatch.setenv("FX_CACHE_DIR", str(tmp_path / "file" / "cache"))
    (tmp_path / "file").write_text("no folder")
    cache.clear()
    with pytest.warns(cache.CacheWarning):
        cache.keep("piece", "ab" * 32, b"")
    assert not cache.has("piece", "ab" * 32)
    cache.clear()


@pytest.mark.driver
def test_who_asks_waits_for_a_thread_that_tells(device, monkeypatch):  # noqa: F811
    import threading

    (made,) = builders._builders
    assert within_seconds(lambda: made.ready)
    job: ahead.Job = lean.job(TEXT, "-w", f"waits{os.getpid()}", [("fx", 1, 1)])
    assert builders._lock.acquire(blocking=False)
    threading.Timer(builders.TOLD / 4, builders._lock.release).start()
    monkeypatch.setattr(builders, "TOLD", 20.0)  # the timer is late where others have the cores
    assert builders.share([job])[0] is not None
