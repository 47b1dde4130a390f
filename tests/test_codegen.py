"""One list of passes makes the object files that PoCL makes by a list for each, in any order."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lowering.pocl import builders, workshop

pytestmark = pytest.mark.driver

SAME = """
import ctypes, sys
from ctypes import byref
sys.path.append(sys.argv[1])
from lowering.pocl import ahead, objects, patches
compiler = ahead.Compiler(*sys.argv[2:])
wide = '__attribute__((target("avx2,fma"), min_vector_width(256)))'
TEXTS = (
    "float f(__global float *x) { return x[0] * x[1] + x[2]; }",
    f"{wide} void g(__global float8 *x) {{ for (int k = 0; k < 9; ++k) x[k] = x[k + 9] * x[k]; }}",
    "int h(int n) { switch (n) { case 0: return 7; case 1: return 9; case 2: return n / 7; } "
    "return 1; }",
    "float f(__global float *x) { return x[0] / 3.5f; } int i(int n) { return n << 3; }",
    "__constant int t[1 << 15] = {1}; int j(int k) { return t[k]; }",  # a long file
)
codes = [compiler._bitcode(text.encode(), b"-w -D_OPENCL_H_") for text in TEXTS]
(place,) = patches.addresses(compiler.pocl, (b"pocl_llvm_codegen",))
pocls = ctypes.CFUNCTYPE(ctypes.c_int, *(ctypes.c_void_p,) * 5)(place)
program = compiler._made("clCreateProgramWithSource", compiler._context, 1,
                         (ctypes.c_char_p * 1)(b""), None)

def by_pocl(code):
    context = compiler.objects._call["LLVMContextCreate"]()
    module = compiler.objects._module(context, code)
    out, size = ctypes.c_void_p(), ctypes.c_size_t()
    assert pocls(compiler._device, program, module, byref(out), byref(size)) == 0
    return ctypes.string_at(out, size.value)

wanted = [by_pocl(code) for code in codes]
print(max(map(len, wanted)) > 1 << 16)
for turn in (1, -1, 1, -1):
    print([compiler.objects.machine_code(code) for code in codes[::turn]] == wanted[::turn])
"""


def test_the_same_files():
    library = builders.library()
    if library is None:
        pytest.skip("needs the wheel's OpenCL library")
    root = Path(workshop.__file__).parents[2]
    command = [sys.executable, "-c", SAME, str(root), library]
    environment = os.environ | {"POCL_DEVICES": "basic"}
    made = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=600)
    assert made.stdout.split() == ["True"] * 5, made.stderr
