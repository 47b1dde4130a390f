"""Builders: processes that build programs give the same results, and can fail or die."""

from __future__ import annotations

import contextlib
import gc
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import golden_kernels
import numpy as np
import pytest
from plans import run

from lowering import mathlib, scalar
from lowering.graph import Builder
from lowering.planning import program
from lowering.pocl import ahead, builders, lean, workshop
from lowering.pocl.apart import Apart
from lowering.runtime import devices, drivers, programs
from lowering.runtime.counters import counters

pytestmark = pytest.mark.driver

SIMPLE = "__kernel void fx(const int stage, __global float *x) { if (stage == 0) x[0] += 1.0f; }"


@contextlib.contextmanager
def fresh(tmp_path, monkeypatch):
    """PoCL of the version whose programs are shared, without programs, with a cache of its own."""
    found = [d for d in devices.devices() if lean.suits(d, SIMPLE)]
    if not found or builders.library() is None:
        pytest.skip("needs the PoCL that has the short way")
    monkeypatch.setenv("FX_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(builders, "processes", lambda: 2)
    kept = dict(found[0].programs)
    found[0].programs.clear()
    yield found[0]
    found[0].programs.clear()
    found[0].programs.update(kept)
    builders.close()


@pytest.fixture
def device(tmp_path, monkeypatch):
    """Such a PoCL, whose programs are of two stages at most."""
    monkeypatch.setattr(program, "PER_PROGRAM", 2)
    with fresh(tmp_path, monkeypatch) as found:
        yield found


def job(k: int) -> ahead.Job:
    """A program that no other test has."""
    return lean.job(f"// {os.getpid()} {k}\n{SIMPLE}", "-w", f"k{os.getpid()}_{k}", [("fx", 1, 1)])


def long_plan(size: int):
    """A plan of two programs: products of several shapes."""
    from lowering.compile import make_plan
    from lowering.profile import AVX2

    b = Builder()
    f32 = np.dtype(np.float32)
    x = b.input((size, 48), f32)
    outs = []
    for width in (40, 56, 72):
        w = b.input((48, width), f32)
        outs.append(b.map("tanh", b.contract(x, w, ((1,), (0,)))))
    return make_plan(b.graph(outs), AVX2, merge=False)


def test_long_functions_have_several_programs_and_equal_bits(device, monkeypatch):
    rng = np.random.default_rng(0)
    plan = long_plan(64)
    assert len(plan.programs) == 2
    shapes = [plan.buffers[k].shape for k in plan.inputs]
    arrays = [rng.standard_normal(s).astype(np.float32) for s in shapes]
    before = counters().compiles
    shared = run(plan, device, arrays)
    assert counters().compiles == before + 2
    assert builders._builders and builders._builders[0].alive
    monkeypatch.setattr(program, "PER_PROGRAM", 24)
    alone = long_plan(64)
    assert len(alone.programs) == 1
    for a, b in zip(shared, run(alone, device, arrays), strict=True):
        np.testing.assert_array_equal(a, b)
    x, *weights = arrays
    for got, w in zip(shared, weights, strict=True):
        np.testing.assert_allclose(got, np.tanh(x @ w), rtol=2e-5, atol=2e-6)


def test_a_job_gives_bitcode(device):
    codes = builders.share([job(k) for k in range(4)])
    assert all(code is not None and code[:2] == b"BC" for code in codes)


def ready_builder() -> builders.Builder:
    builders.prepare()
    for _ in range(300):
        if builders._builders[0].ready:
            return builders._builders[0]
        time.sleep(0.02)
    raise AssertionError("it is not ready after six seconds")


def short_plan(factor: float):
    """A plan of one program."""
    from lowering.compile import make_plan
    from lowering.profile import AVX2

    b = Builder()
    x = b.input((1000,), np.dtype(np.float32))
    scale = b.const(np.float32(factor), np.dtype(np.float32))
    y = b.map("exp", b.map("mul", x, b.broadcast(scale, (1000,), ())))
    return make_plan(b.graph([y]), AVX2)


def test_a_ready_builder_makes_a_single_program_of_equal_bits(device, monkeypatch):
    x = np.linspace(-3, 3, 1000, dtype=np.float32)
    ready_builder()
    factor = np.float32(1.0 + os.getpid() / 1e7)
    plan = short_plan(factor)
    with monkeypatch.context() as patched:  # the front end of this process is not asked
        patched.setattr(lean, "bitcode", None)
        patched.setattr(programs, "_compile", None)
        (there,) = run(plan, device, [x])
    device.programs.clear()
    key = programs._lean_key(device, plan.programs[0])
    shutil.rmtree(Path(drivers.pocls_cache()) / f"fx_{key[:32]}")
    monkeypatch.setattr(programs.cache, "load", lambda kind, key: None)
    monkeypatch.setattr(builders, "share", lambda jobs: [None] * len(jobs))
    (here,) = run(plan, device, [x])
    np.testing.assert_array_equal(there, here)
    np.testing.assert_allclose(there, np.exp(x * factor), rtol=1e-6)


def test_jobs_that_come_together_are_answered_one_by_one(device):
    builder = ready_builder()
    os.kill(builder.process.pid, signal.SIGSTOP)
    threading.Timer(0.2, os.kill, (builder.process.pid, signal.SIGCONT)).start()
    builder.tell("whole", "nonsense", "-w", "-w", ())
    assert builder.build(*lean.job(SIMPLE, "-w", f"both{os.getpid()}", [("fx", 1, 1)])) is not None
    assert not builder._owed


@pytest.mark.parametrize("made", [True, False])
def test_a_program_is_loaded_while_its_machine_code_is_made(device, monkeypatch, made):
    ready_builder()
    order = []
    ask, load = builders.Builder._ask, lean.load

    def asked(self, *job):
        code, answer = ask(self, *job)
        order.append("answered")
        return code, answer if made else None  # as where PoCL refuses the machine code

    def loaded(*args):
        order.append("loaded")
        return load(*args)

    monkeypatch.setattr(Apart, "able", True)
    monkeypatch.setattr(builders.Builder, "_ask", asked)
    monkeypatch.setattr(lean, "load", loaded)
    factor = np.float32((2.0 if made else 3.0) + os.getpid() / 1e7)
    x = np.linspace(-1, 1, 1000, dtype=np.float32)
    (y,) = run(short_plan(factor), device, [x])
    np.testing.assert_allclose(y, np.exp(x * factor), rtol=1e-6)
    assert order[:2] == ["loaded", "answered"]
    assert order.count("loaded") > order.count("answered") or made  # what was refused is no use


def test_a_kernel_that_needs_a_library_is_linked_with_it(device, monkeypatch):
    """A copy of a megabyte is a call of memcpy: the links without libraries fail, and are done
    again.
    """
    text = """__kernel void fx(const int stage, __global char *x, __global char *y) {
      if (stage == 0) __builtin_memcpy(x, y, 1 << 20);
    }"""
    name = f"m{os.getpid()}"
    assert ready_builder().build(*lean.job(text, "-w", name, [("fx", 1, 1)])) is not None
    (kernel,) = (Path(drivers.pocls_cache()) / f"fx_{name}").rglob("*.so")
    libraries = subprocess.run(["readelf", "-d", kernel], capture_output=True, text=True).stdout
    assert "libc.so" in libraries
    plain = lean.job(f"// {os.getpid()}\n{SIMPLE}", "-w", name + "p", [("fx", 1, 1)])
    assert ready_builder().build(*plain) is not None
    (kernel,) = (Path(drivers.pocls_cache()) / f"fx_{name}p").rglob("*.so")
    libraries = subprocess.run(["readelf", "-d", kernel], capture_output=True, text=True).stdout
    assert "Dynamic section" in libraries and "libc.so" not in libraries


@pytest.mark.parametrize("family", ["basic", "exponential", "giles", "integer", "special"])
def test_the_library_needs_no_more_than_a_workshops_headers(device, family):
    templates = import_module(f"lowering.mathlib.{family}").TEMPLATES
    calls = {
        f"{name}_{kind}x{n}(" for name in templates for kind in templates[name] for n in (1, 8)
    }
    dtypes = map(np.dtype, ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"))
    text = scalar.prelude((8,), dtypes) + mathlib.source(mathlib.needed(" ".join(calls)))
    text = program.targeted(text + SIMPLE, device.profile)
    made = lean.job(text, "-w", f"l{os.getpid()}", [])
    assert ready_builder().build(*made) is not None


@pytest.mark.parametrize("name", golden_kernels.names())
def test_kernels_need_no_more_than_a_workshops_headers(device, name):
    for made_of in golden_kernels.plan(name).programs:
        if lean.suits(device, made_of.source):
            made = lean.job(made_of.source, "-w", f"g{os.getpid()}", [])
            assert ready_builder().build(*made) is not None


def test_a_workshop_goes_with_its_builder(device):
    builder = ready_builder()
    folder = builder.workshop.folder
    assert folder.is_dir()
    builders.close()
    assert not folder.exists()
    builder = ready_builder()
    folder = builder.workshop.folder
    builder.process.stdin.close()  # as when this process dies
    assert builder.process.wait(20) == 0
    assert not folder.exists()


def test_what_killed_processes_left_is_removed(device, monkeypatch):
    done = subprocess.Popen(["true"])
    done.wait()
    place = ready_builder().workshop.folder.parent
    left, young = (place / f"{workshop.PREFIX}{done.pid}-{name}" for name in ("left", "young"))
    for folder in (left, young):
        folder.mkdir()
    old = time.time() - 2 * workshop.LEFT
    os.utime(left, (old, old))
    builders.close()
    os.utime(ready_builder().workshop.folder, (old, old))
    mine = builders._builders[0].workshop.folder
    workshop.Workshop(str(builders.library()), str(place)).close()
    assert not left.exists() and young.exists() and mine.exists()
    young.rmdir()


def test_a_folder_that_another_process_removes_is_passed_over(monkeypatch, tmp_path):
    left = [tmp_path / f"{workshop.PREFIX}{k}-left" for k in range(9)]
    old = time.time() - 2 * workshop.LEFT
    for folder in left:
        folder.mkdir()
        os.utime(folder, (old, old))

    def alive(pid):
        if pid % 2:
            left[pid].rmdir()
        return False

    monkeypatch.setattr(workshop, "_alive", alive)
    workshop._sweep(str(tmp_path))
    gc.collect()  # an unclosed list of entries would warn
    assert not list(tmp_path.iterdir())


def test_a_builder_that_is_told_to_end_tidies_up(device):
    builder = ready_builder()
    builder.process.terminate()
    builder.process.wait(20)
    assert not builder.workshop.folder.exists()


def test_memory_that_does_not_run_files_is_not_used(device, monkeypatch, tmp_path):
    """As in containers: PoCL would end the process where it cannot load a kernel."""
    really = os.statvfs

    def noexec(folder):
        flags = os.ST_NOEXEC if folder == workshop.MEMORY else 0
        return SimpleNamespace(f_flag=really(folder).f_flag & ~os.ST_NOEXEC | flags)

    monkeypatch.setattr(os, "statvfs", noexec)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert ready_builder().workshop.folder.parent == tmp_path
    assert builders.share([job(60)]) != [None]


def test_builders_can_be_forbidden(device, monkeypatch):
    monkeypatch.undo()
    monkeypatch.setenv("FX_BUILDERS", "0")
    builders.prepare(2)
    assert not builders._builders
    assert builders.share([job(70)]) == [None]


def test_users_programs_see_nothing_of_the_workshop(device):
    folder = str(ready_builder().workshop.folder)
    assert "COMPILER_PATH" not in os.environ
    assert not any(folder in value for value in os.environ.values())
    assert folder not in Path("/proc/self/maps").read_text()


def test_machine_code_that_is_kept_is_not_made_again(device):
    assert ready_builder().build(*job(80)) is not None
    name = f"fx_k{os.getpid()}_80"
    (kernel,) = (Path(drivers.pocls_cache()) / name).rglob("*.so")
    made = kernel.stat().st_mtime_ns
    assert ready_builder().build(*job(80)) is not None
    assert kernel.stat().st_mtime_ns == made
    kernel.unlink()
    builders.close()  # PoCL remembers kernels that it has loaded
    assert ready_builder().build(*job(80)) is not None
    assert kernel.exists()


def test_what_is_refused_is_none(device):
    wrong = lean.job(SIMPLE.replace("+= 1.0f", "= nonsense"), "-w", "wrong", [("fx", 1, 1)])
    first, second, third = builders.share([job(10), wrong, job(11)])
    assert first is not None and third is not None
    assert second is None


def test_a_dead_builder_leaves_its_jobs_to_this_process(device):
    builders.prepare()
    for b in builders._builders:
        b.process.kill()
        b.process.wait()
    dead = list(builders._builders)
    assert all(c is not None for c in builders.share([job(20), job(21), job(22)]))
    assert not set(dead) & set(builders._builders)


def test_a_builder_that_dies_at_work_leaves_its_job(device, monkeypatch):
    builders.prepare()

    def dies(self, *job):
        self.process.kill()
        raise EOFError

    monkeypatch.setattr(builders.Builder, "build", dies)
    assert all(c is not None for c in builders.share([job(30), job(31)]))


def test_ctrl_c_leaves_no_answers_for_other_jobs(device, monkeypatch):
    def interrupted(self):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "join", interrupted)
        with pytest.raises(KeyboardInterrupt):
            builders.share([job(k) for k in range(40, 50)])
    assert not builders._builders
    codes = builders.share([job(k) for k in range(50, 54)])
    for k, code in zip(range(50, 54), codes, strict=True):
        assert code is not None and f"k{os.getpid()}_{k}".encode() in code


def test_a_forked_child_has_no_builders(device, monkeypatch):
    builders.prepare()
    assert builders._builders
    read, write = os.pipe()
    seen = []
    monkeypatch.setattr(sys, "unraisablehook", seen.append)  # of pipes that nobody closed
    child = os.fork()
    if child == 0:
        os.write(write, b"none" if not builders._builders and not seen else b"some")
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(read, 4) == b"none"
    assert builders._builders[0].alive


def test_without_a_cache_nothing_is_shared(device, monkeypatch):
    monkeypatch.setenv("FX_CACHE_DIR", "off")
    monkeypatch.setattr(builders, "share", lambda jobs: pytest.fail("shared"))
    plan = long_plan(60)
    assert len(programs.build_all(device, plan)) == 2
