"""Object files become a library by distances alone, or are refused: `ld` is the oracle."""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from plans import run
from test_builders import fresh

from lowering.graph import Builder
from lowering.pocl import ahead, builders, kept, lean, linking, objects
from lowering.runtime import devices, drivers, programs

SIMPLE = """__kernel void fx(const int stage, __global float *p0, const long n0) {
  const long item = get_group_id(0);
  if (stage == 0) p0[item] += n0;
}
"""


@pytest.fixture(scope="module")
def assembled(tmp_path_factory):
    """A text of an assembler to an object file."""
    tool = shutil.which("as")
    if tool is None:
        pytest.skip("needs an assembler")
    folder = tmp_path_factory.mktemp("objects")

    def assemble(text: str) -> bytes:
        (folder / "text.s").write_text(text)
        command = [tool, "--64", "-o", str(folder / "made.o"), str(folder / "text.s")]
        subprocess.run(command, check=True)
        return (folder / "made.o").read_bytes()

    return assemble


def called(library: bytes, path: Path, name: str = "start") -> int:
    """What a function of a library gives."""
    path.write_bytes(library)
    return getattr(ctypes.CDLL(str(path)), name)()


CONSTANT = """
  .text
  .globl start
  .type start, @function
start: movl number(%rip), %eax
  call more@PLT
  ret
  .size start, . - start
  .section .rodata.cst4, "aM", @progbits, 4
number: .long 40
  .section .note.GNU-stack, "", @progbits
"""
MORE = """
  .text
  .weak more
  .hidden more
  .type more, @function
more: addl one(%rip), %eax
  ret
  .section .rodata, "a", @progbits
  .p2align 6
one: .long {number}
"""


def test_functions_of_several_files_call_each_other_and_find_their_constants(assembled, tmp_path):
    files = [assembled(CONSTANT), assembled(MORE.format(number=2))]
    assert called(linking.link(files, b"start"), tmp_path / "library.so") == 42


def test_the_first_of_several_equal_names_is_taken(assembled, tmp_path):
    files = [assembled(CONSTANT), *(assembled(MORE.format(number=k)) for k in (3, 3, 3))]
    assert called(linking.link(files, b"start"), tmp_path / "library.so") == 43


JUMP = """
  .text
  .globl start
  .type start, @function
start: jmp {name}@PLT
  .size start, . - start
"""


@pytest.mark.parametrize("size", [0, 1, 272, 5000])
@pytest.mark.parametrize("name", ["memcpy", "memset"])
def test_calls_for_what_is_copied_or_cleared_need_no_library(assembled, tmp_path, name, size):
    (tmp_path / "library.so").write_bytes(
        linking.link([assembled(JUMP.format(name=name))], b"start")
    )
    function = ctypes.CDLL(str(tmp_path / "library.so")).start
    function.restype = ctypes.c_void_p
    values = np.random.default_rng(size).integers(1, 255, size + 2, np.uint8)
    out = np.zeros(size + 2, np.uint8)
    at, source = out.ctypes.data + 1, values.ctypes.data + 1
    given = ctypes.c_void_p(source) if name == "memcpy" else 0x1A7  # of which one byte is meant
    assert function(ctypes.c_void_p(at), given, ctypes.c_size_t(size)) == at
    want = np.pad(values[1:-1] if name == "memcpy" else np.full(size, 0xA7, np.uint8), 1)
    np.testing.assert_array_equal(out, want)


def test_a_function_that_a_file_has_is_taken_for_the_one_brought_along(assembled, tmp_path):
    text = JUMP.format(name="memcpy") + ".globl memcpy\nmemcpy: movl $43, %eax\n ret\n"
    assert called(linking.link([assembled(text)], b"start"), tmp_path / "library.so") == 43


def test_a_library_has_what_a_linker_gives_it(assembled, tmp_path):
    """No memory is writable and runs, the stack does not run, the table of sections is the end."""
    library = linking.link([assembled(CONSTANT), assembled(MORE.format(number=2))], b"start")
    (tmp_path / "library.so").write_bytes(library)
    assert kept._ends_with_its_tables(library)
    if shutil.which("readelf") is None:
        pytest.skip("needs readelf")
    command = ["readelf", "-lsW", str(tmp_path / "library.so")]
    said = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "Warning" not in said.stderr + said.stdout
    lines = [line.split() for line in said.stdout.splitlines()]
    flags = {(w[0], "".join(w[6:-1])) for w in lines if w and w[0] in ("LOAD", "GNU_STACK")}
    assert flags == {("LOAD", "R"), ("LOAD", "RE"), ("LOAD", "RW"), ("GNU_STACK", "RW")}
    assert {w[-1] for w in lines if "FUNC" in w} == {"start", "more"}


REFUSED = {
    "a function that is nowhere": CONSTANT,
    "memory that is written": CONSTANT.replace("call more@PLT", "")
    + '.section .data, "aw", @progbits\n.long 1\n',
    "an address": CONSTANT.replace("call more@PLT", "") + ".quad number\n.text\n.quad start\n",
    "a place in a table": CONSTANT.replace("call more@PLT", "movq start@GOTPCREL(%rip), %rax"),
}


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED.keys())
def test_anything_else_is_refused(assembled, text):
    with pytest.raises(linking.Unlinkable):
        linking.link([assembled(text)], b"start")


def test_a_name_that_is_not_there_is_refused(assembled):
    with pytest.raises(linking.Unlinkable):
        linking.link([assembled(MORE.format(number=1))], b"start")


def test_two_functions_of_one_name_are_refused(assembled):
    text = assembled(MORE.format(number=1).replace(".weak", ".globl"))
    with pytest.raises(linking.Unlinkable):
        linking.link([assembled(CONSTANT), text, text], b"start")


def test_what_is_no_object_file_is_refused():
    with pytest.raises(linking.Unlinkable):
        linking.link([bytes(100)], b"start")


# ---------------------------------------------------------------------- in a builder


@pytest.fixture
def builder(tmp_path, monkeypatch):
    """A builder that is ready, of the PoCL whose programs are shared."""
    with fresh(tmp_path, monkeypatch):
        builders.close()
        builders.prepare()
        for _ in range(300):
            if builders._builders[0].ready:
                break
            time.sleep(0.02)
        yield builders._builders[0]


def ours(kernel: str) -> list[bool]:
    """Of each variant of a kernel whether it is made without PoCL's launchers."""
    files = kept.files(os.path.join(drivers.pocls_cache(), kernel))
    return [f"{kernel}_workgroup_fast".encode() not in Path(path).read_bytes() for _, path in files]


@pytest.mark.driver
def test_a_builder_links_what_has_a_launcher(builder):
    name = f"l{os.getpid()}"
    launches = [("fx", 5, 1), ("fx", ahead.SMALL_GRID, 1)]
    source, *rest = lean.job(SIMPLE, "-w", name, launches)
    assert f"void {ahead.LAUNCHER}(" in source
    assert builder.build(source, *rest) is not None
    assert ours(f"fx_{name}") == [True, True]


MOVE = SIMPLE.replace("p0[item] += n0", "__builtin_memmove(p0, p0 + n0, 1 << 20)")
WITHOUT = SIMPLE.replace("  const long item = get_group_id(0);\n", "").replace(
    "p0[item]", "p0[get_group_id(0)]"
)


@pytest.mark.driver
@pytest.mark.parametrize("text, local, refused", [(MOVE, 1, 1), (SIMPLE, 2, 0), (WITHOUT, 1, 0)])
def test_what_calls_a_library_or_has_other_groups_is_left_to_pocl(builder, text, local, refused):
    name = f"p{os.getpid()}_{abs(hash(text))}_{local}"
    assert builder.build(*lean.job(text, "-w", name, [("fx", 2 * local, local)])) is not None
    assert ours(f"fx_{name}") == [False]
    assert len(builders.unlinked) == refused


@pytest.mark.driver
def test_this_process_tells_what_was_not_linked_as_a_builder_does(builder):
    compiler = builders._self(builders.library())
    name = f"q{os.getpid()}"
    compiler.build(*lean.job(MOVE, "-w", name, [("fx", 2, 1)]), drivers.pocls_cache())
    (why,) = builders.unlinked
    assert why.startswith(f"fx_{name}: ")


@pytest.mark.driver
def test_bits_are_those_of_pocls_own_way(builder, monkeypatch):
    from lowering.compile import make_plan
    from lowering.profile import AVX2

    (device,) = (d for d in devices.devices() if lean.suits(d, SIMPLE))
    factor = np.float32(1.0 + os.getpid() / 1e7)
    b = Builder()
    x = b.input((1000, 70), np.dtype(np.float32))
    scale = b.broadcast(b.const(factor, np.dtype(np.float32)), (1000, 70), ())
    plan = make_plan(b.graph([b.reduce("add", b.map("exp", b.map("mul", x, scale)), (1,))]), AVX2)
    values = np.random.default_rng(0).standard_normal((1000, 70)).astype(np.float32)

    def result(mine: bool) -> np.ndarray:
        device.programs.clear()
        (y,) = run(plan, device, [values])
        assert ours(f"fx_{programs._lean_key(device, plan.programs[0])[:32]}") == [mine]
        return y

    there = result(True)
    monkeypatch.setattr(lean, "_LAUNCHED", re.compile("no such text"))
    monkeypatch.setattr(lean, "prelude", lambda: f"{os.getpid()}")  # another key
    np.testing.assert_array_equal(there, result(False))
    np.testing.assert_allclose(there, np.exp(values * factor).sum(1), rtol=1e-5)


def test_the_name_that_pocl_looks_for():
    assert objects.group_of("fx_1") == b"_pocl_kernel_fx_1_workgroup"
