"""What LLVM knows of the processor is kept for clang, and the machine code is the same."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lowering.pocl import builders, workshop
from lowering.pocl.machines import Machines

TEXTS = """
import sys
sys.path.append(sys.argv[1])
from lowering.pocl import ahead, lighter, linking, machines
compiler = ahead.Compiler(*sys.argv[2:])
target = '__attribute__((target("avx2,fma"), min_vector_width(256)))'
plain = "float f(__global float *x) { return x[0] * x[1] + x[2]; }"
one, other = f"{target} {plain}", f"{plain} int g(int n) {{ return n / 7; }}"
options = " -w -D_OPENCL_H_"

def made(text, options=options):
    code = compiler._bitcode(text.encode(), options.encode())
    sections = linking._sections(compiler.objects.machine_code(code))
    return b"".join(s.data for s in sections if s.flags & linking._RUN)

lighter.lighten(compiler.pocl)
before = [made(one), made(other)]
kept = compiler._machines = machines.Machines(compiler.pocl)
if not kept.able:
    print("unable")
    sys.exit()
"""

KEPT = f"""{TEXTS}
print([made(one), made(other)] == before, kept.given)
print([made(one), made(other)] == before, kept.given)
print(len(made(one, options + " -cl-fast-relaxed-math")) > 0, kept.given)
print(made(one) == before[0], kept.given)
"""

REFUSED = f"""{TEXTS}
for wrong in ("float f(", "#error no"):
    try:
        made(wrong)
    except ahead.Refused:
        print("refused", made(one) == before[0], made(other) == before[1])
"""

MANY = f"""{TEXTS}
for k in range(kept.MOST + 3):
    made(one, options + f" -DK={{k}}")
print(made(one) == before[0], len(kept._kept) <= kept.MOST)
"""

pytestmark = pytest.mark.driver


def told(text: str, folder: Path) -> list[str]:
    """What a Python text says, in an environment like a builder's."""
    if builders.library() is None:
        pytest.skip("needs the PoCL of PyPI")
    shop = workshop.Workshop(str(builders.library()), str(folder))
    command = [sys.executable, "-c", text, str(builders._ROOT), str(builders.library())]
    environment = os.environ | {"POCL_DEVICES": "basic"} | shop.environment
    try:
        asked = subprocess.run(
            [*command, str(shop.pocl)], capture_output=True, text=True, env=environment, timeout=600
        )
    finally:
        shop.close()
    assert asked.stdout, asked.stderr
    if "unable" in asked.stdout:
        pytest.skip("a PoCL that is made in another way")
    return asked.stdout.split("\n")[:-1]


def test_clang_is_given_what_it_had_and_pocl_its_own(tmp_path):
    """The first of some options is not given, nor is any to who makes machine code."""
    assert told(KEPT, tmp_path) == ["True 1", "True 3", "True 3", "True 4"]


def test_a_text_that_is_refused_changes_nothing(tmp_path):
    assert told(REFUSED, tmp_path) == ["refused True True"] * 2


def test_few_are_kept(tmp_path):
    assert told(MANY, tmp_path) == ["True True"]


def test_another_library_is_left_alone(tmp_path):
    other = tmp_path / "text"
    other.write_text("text" * 100)
    assert not Machines(str(other)).able
    with Machines(str(tmp_path / "absent")).kept(b""):
        pass
