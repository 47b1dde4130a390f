"""What a builder leaves out of PoCL: found by name, and of no consequence for what is computed."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lowering.pocl import builders, lighter, patches, symbols, workshop

pytestmark = pytest.mark.driver

ASK = """
import sys
sys.path.append(sys.argv[1])
from lowering.pocl import ahead, lighter
pocl = ahead.Compiler(sys.argv[2]).pocl
print(lighter.lighten(pocl), lighter.lighten(pocl))
"""

WHERE = """
import ctypes, struct, sys
sys.path.append(sys.argv[1])
from lowering.pocl import ahead, lighter, patches
pocl = ahead.Compiler(sys.argv[2]).pocl
begin = patches._begin(getattr(ctypes.CDLL(pocl), patches.KNOWN))
names = (lighter.WHOLE, lighter.FIRST, lighter.ALL, lighter.LAST)
places = [begin + x for x in patches.values(pocl, names)]
lighter.lighten(pocl)
turns = lighter._TURNS % struct.pack("<Q", ctypes.addressof(lighter._turn))
for start, end in zip(places[::2], places[1::2]):
    start += len(turns) if ctypes.string_at(start, len(turns)) == turns else 0
    jump = start + ctypes.string_at(start, 8).index(0xE9) + 1
    print(jump + 4 + struct.unpack("<i", ctypes.string_at(jump, 4))[0] == end)
"""

ONCE = """
import ctypes, re, sys
sys.path.append(sys.argv[1])
from lowering.pocl import ahead, lighter, patches
pocl = ahead.Compiler(sys.argv[2]).pocl
start, act = patches.addresses(pocl, (lighter.COMPILE, lighter.ACT))
def calls():
    code = ctypes.string_at(start, lighter._LENGTH)
    found = [m.start() for m in re.finditer(lighter._CALL, code)]
    return [k for k in found if code[k:k + 5] == lighter._jump_at(start + k, lighter._CALL, act)]
before = calls()
for _ in range(2):
    lighter.lighten(pocl)
    print(len(before) == 2 and calls() == before[1:])
    print(ctypes.string_at(start + before[0], 5) == lighter._TRUE)
"""

UNASKED = """
import ctypes, sys
sys.path.append(sys.argv[1])
from lowering.pocl import ahead, lighter, patches
compiler = ahead.Compiler(sys.argv[2])
lighter.lighten(compiler.pocl)
(start,) = patches.addresses(compiler.pocl, (lighter.CHECK,))
print(ctypes.string_at(start, 1) == lighter._RETURN)
head = "#pragma clang attribute push(__attribute__((target(\\"avx2\\"))), apply_to = function)"
inline = "static inline __attribute__((always_inline)) float twice(float x) { return x + x; }"
kernel = "__kernel void k(__global float *x) { x[0] = twice(x[1]); }"
text = "\\n".join((head, inline, kernel, "#pragma clang attribute pop", ""))
print(b"twice" not in compiler._bitcode(text.encode(), b"-w"))
"""

SAME = """
import sys
sys.path.append(sys.argv[1])
from lowering.pocl import ahead, lighter
compiler = ahead.Compiler(sys.argv[2])
lighter.lighten(compiler.pocl)
text = "__kernel void numbered_%d(int s, __global float *x) { x[s] += %d; }"
one, two = (compiler._bitcode((text % (k, k)).encode(), b"-w") for k in (1, 2))
print(*(b"numbered_%d" % k in code for code in (one, two) for k in (1, 2)))
"""

TURNS = """
import sys, tempfile
sys.path.append(sys.argv[1])
from lowering.pocl import ahead, lighter
compiler = ahead.Compiler(sys.argv[2])
lighter.lighten(compiler.pocl)
text = "__kernel void k%d(int s, __global float *x) { for (int i = 0; i < s; ++i) x[i] += %d; }"
for k in (1, 2):
    code = compiler._bitcode((text % (k, k)).encode(), b"-w")
    compiler._machine_code(code, b"-w", [(f"k{k}", 1, 1)])
    print(lighter._turn.value)
"""


@pytest.fixture
def pocl() -> str:
    """PoCL's library of the wheel."""
    library = builders.library()
    found = list(Path(library).parent.glob("libpocl*")) if library else []
    if not found:
        pytest.skip("needs the PoCL of pyopencl's wheel")
    return str(found[0])


def test_a_symbol_has_the_place_that_the_loader_gives_it(pocl):
    function = getattr(ctypes.CDLL(pocl), patches.KNOWN)
    begin, found = patches._begin(function), patches.values(pocl, [patches.KNOWN.encode()])
    assert begin is not None and found is not None
    assert begin + found[0] == ctypes.cast(function, ctypes.c_void_p).value


def test_guesses_are_checked_and_spare_the_search(pocl, monkeypatch):
    names = list(symbols.GUESSES)
    with monkeypatch.context() as patched:  # where they are right nothing is searched
        patched.setattr(patches, "_find", None)
        found = patches.values(pocl, names)
    assert found is not None
    wrong = {name: place + 1 for name, place in symbols.GUESSES.items()}
    wrong[names[0]] = 1 << 40
    monkeypatch.setattr(patches, "GUESSES", wrong)
    assert patches.values(pocl, names) == found


def test_what_is_not_there_has_no_value(pocl, tmp_path):
    assert patches.values(pocl, (lighter.ALL, b"no_such_symbol")) is None
    other = tmp_path / "text"
    other.write_text("text" * 100)
    assert patches.values(str(other), (lighter.ALL,)) is None
    assert not lighter.lighten(str(other))
    assert not lighter.lighten(str(tmp_path / "absent"))


def _told(text: str, **environment: str) -> list[str]:
    """What a Python text says about PoCL in a process of its own."""
    command = [sys.executable, "-c", text, str(builders._ROOT), str(builders.library())]
    environment = os.environ | {"POCL_DEVICES": "basic"} | environment
    asked = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=600)
    assert asked.stdout, asked.stderr
    return asked.stdout.split()


def test_the_passes_can_be_left_out_in_a_process_of_its_own(pocl):
    """Twice: what is left out already is left out."""
    assert _told(ASK) == ["True", "True"]


def test_both_lists_of_passes_go_on_to_shorter_ones(pocl):
    assert _told(WHERE) == ["True", "True"]


def test_a_text_is_compiled_and_not_preprocessed_before(pocl):
    assert _told(ONCE) == ["True"] * 4


def test_instructions_of_what_is_inlined_are_not_asked_for(pocl, tmp_path):
    shop = workshop.Workshop(str(builders.library()), str(tmp_path))
    try:
        assert _told(UNASKED, **shop.environment) == ["True", "True"]
    finally:
        shop.close()


def test_texts_with_equal_options_are_not_taken_for_each_other(pocl, tmp_path):
    """PoCL looks for a program under a hash of options and of the preprocessed text."""
    shop = workshop.Workshop(str(builders.library()), str(tmp_path))
    try:
        assert _told(SAME, **shop.environment) == ["True", "False", "False", "True"]
    finally:
        shop.close()


def test_pocl_asks_for_the_passes_twice(pocl, tmp_path):
    """So they are listed for every second question, and kernels find them as the first one did."""
    shop = workshop.Workshop(str(builders.library()), str(tmp_path))
    try:
        assert _told(TURNS, **shop.environment) == ["0", "0"]
    finally:
        shop.close()
