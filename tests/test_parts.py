"""Parts: what programs share is built apart, once, and a program of pieces is the same program."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from plans import run

from lowering.compile import make_plan
from lowering.graph import Builder
from lowering.profile import AVX2
from lowering.runtime import builders, devices, lean, objects, parts
from lowering.runtime.apart import Apart

SIMPLE = "__kernel void fx(const int stage, __global float *x) { if (stage == 0) x[0] += 1.0f; }"
ONE = np.float32(1)
FUNCTION = "FX_PART void tile(float_u x, int n) {\n  FX_ASK(x)\n  other(n);\n}\n"
TEXT = """#pragma clang attribute push(__attribute__((target("avx"))), apply_to = function)
#define FX_PART static __attribute__((noinline))
typedef float __attribute__((aligned(4))) float_u;
typedef int __attribute__((aligned(4))) int_u;
#if defined(__AVX__)
#define FX_ASK(x) x;
#else
#define FX_ASK(x)
#endif
#if defined(__SSE2__)
#define unused 1
#endif
typedef struct {
  int n;
} team;
static void helper(int n) { }
FUNCTION__kernel void fx(const int stage) { tile(0, stage); }
#pragma clang attribute pop
"""


def product(width: int, scale: np.float32 = ONE):
    """A plan of one program: tanh of a product, scaled by a number in the text."""
    b = Builder()
    f32 = np.dtype(np.float32)
    x, w = b.input((200, 48), f32), b.input((48, width), f32)
    y = b.map("tanh", b.contract(x, w, ((1,), (0,))))
    return make_plan(b.graph([b.map("mul", y, b.const(scale, f32, y.shape))]), AVX2)


def test_a_text_is_parted():
    main, (part,) = parts.split(TEXT.replace("FUNCTION", FUNCTION))
    assert "other(n)" not in main and "\nFX_PART void tile(float_u x, int n);\n" in main
    assert main.startswith(f"#define tile tile_{part.key}\n") and "visibility" in main
    text = parts.together(TEXT.replace("FUNCTION", FUNCTION), [part])
    assert part.text in text and "weak" in text and "float_u;" in text and "FX_ASK(x) x;" in text
    assert not any(x in text for x in ("int_u", "__SSE2__", "struct", "helper", "__kernel"))
    assert text.count("#pragma clang attribute p") == 2


def test_a_key_is_of_all_that_a_part_is_made_of():
    text = TEXT.replace("FUNCTION", FUNCTION)

    def key(old: str, new: str) -> str:
        assert old in text
        return parts.split(text.replace(old, new))[1][0].key

    same = key("int_u;", "long_u;"), key("helper", "another"), key("tile(0", "tile(1")
    assert set(same) == {parts.split(text)[1][0].key}
    others = key("other(n)", "other(2)"), key('"avx"', '"avx2"'), key("FX_ASK(x) x", "FX_ASK(x) 1")
    assert len({*others, same[0], key("aligned(4))) float", "aligned(8))) float")}) == 5


@pytest.mark.parametrize("called", ["helper", "tile_2"])
def test_a_part_that_calls_another_function_stays(called):
    more = f"FX_PART void tile_2(int n) {{\n  {called if called == 'helper' else 'tile'}(n);\n}}\n"
    text = TEXT.replace("FUNCTION", FUNCTION + more)
    assert parts.split(text) == (text, [])


def test_products_share_their_tiles():
    one, other = (parts.split(product(width).programs[0].source)[1] for width in (40, 64))
    assert {p.key for p in one} & {p.key for p in other}


@pytest.fixture
def device(tmp_path, monkeypatch):
    """PoCL of the version whose programs are shared, with a cache of its own and two builders."""
    found = [d for d in devices.devices() if lean.suits(d, SIMPLE)]
    if not found or builders.library() is None or shutil.which("ld") is None:
        pytest.skip("needs the PoCL that has the short way")
    monkeypatch.setenv("FX_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(builders, "processes", lambda: 2)
    monkeypatch.setattr(Apart, "able", True)
    kept = dict(found[0].programs)
    found[0].programs.clear()
    builders.prepare(2)
    for _ in range(300):
        if all(b.ready for b in builders._builders):
            break
        time.sleep(0.02)
    assert len(builders._builders) == 2
    yield found[0]
    found[0].programs.clear()
    found[0].programs.update(kept)
    builders.close()


@pytest.fixture
def asked(monkeypatch):
    """What builders were asked, a word a job."""
    words: list[str] = []
    ask = builders.Builder._ask

    def noted(self, *job):
        words.append(job[0])
        return ask(self, *job)

    monkeypatch.setattr(builders.Builder, "_ask", noted)
    return words


def arguments(plan) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.standard_normal(plan.buffers[k].shape).astype(np.float32) for k in plan.inputs]


def result(plan, device) -> np.ndarray:
    (y,) = run(plan, device, arguments(plan))
    return y


def check(plan, device, scale=None) -> None:
    """Its results are those of NumPy."""
    x, w = arguments(plan)
    y = result(plan, device)
    np.testing.assert_allclose(y, np.tanh(x @ w) * (scale or SCALE), rtol=2e-5, atol=2e-6)


SCALE = np.float32(1 + os.getpid() / 1e7)
"""Makes texts that no other process has."""


@pytest.mark.driver
def test_a_program_is_built_of_pieces_which_the_next_one_finds(device, asked):
    check(product(40, SCALE), device)
    assert sorted(asked) == ["front", "join", "piece"]
    asked.clear()
    check(product(64, 2 * SCALE), device, 2 * SCALE)
    assert asked == ["front", "join"]


ALONE = """
import sys
sys.path.append(sys.argv[1])
import numpy as np, test_parts
from lowering.runtime import devices
from lowering.runtime.counters import counters
(device,) = [d for d in devices.devices() if d.driver == "pocl"]
y = test_parts.result(test_parts.product(40, np.float32(sys.argv[2])), device)
print(counters().compiles, y.tobytes().hex())
"""


@pytest.mark.driver
def test_pieces_and_the_whole_have_equal_bits_with_machine_code_and_without(
    device, asked, tmp_path
):
    """Kept bitcode is of all pieces: PoCL makes machine code of it where it has none."""
    bits = result(product(40, SCALE), device).tobytes().hex()
    assert "join" in asked
    for compiles, folder in ((0, tmp_path), (1, tmp_path / "empty")):
        environment = {"FX_BUILDERS": "0", "FX_CACHE_DIR": str(folder)}
        environment["POCL_CACHE_DIR"] = str(tmp_path / f"pocl{compiles}")
        command = [sys.executable, "-c", ALONE, str(Path(__file__).parent), repr(float(SCALE))]
        said = subprocess.run(
            command, capture_output=True, text=True, env=os.environ | environment, timeout=120
        )
        assert said.stdout.split() == [str(compiles), bits], said.stderr


@pytest.mark.driver
@pytest.mark.parametrize("step", ["piece", "front", "join"])
@pytest.mark.parametrize("how", ["refused", "dead"])
def test_what_cannot_be_had_in_pieces_is_built_whole(device, asked, monkeypatch, step, how):
    def fails(self, *job):
        asked.append(f"{how} {step}")
        if how == "dead":
            self.process.kill()
            raise EOFError

    monkeypatch.setattr(builders.Builder, step, fails)
    check(product(40, SCALE), device)
    assert f"{how} {step}" in asked
    assert "whole" in asked or how == "dead"
    assert Apart.able == (step != "join")


@pytest.mark.driver
def test_what_could_not_be_joined_once_is_not_tried_again(device, asked, monkeypatch):
    monkeypatch.setattr(Apart, "able", False)
    check(product(40, SCALE), device)
    assert asked == ["whole"]


@pytest.mark.driver
def test_one_builder_builds_whole_what_has_no_pieces_yet(device, asked):
    builders._builders.pop().close()
    check(product(40, SCALE), device)
    assert asked == ["whole"]


def test_a_library_without_the_functions_is_no_compiler(tmp_path):
    other = tmp_path / "text"
    other.write_text("text" * 100)
    with pytest.raises(objects.Unable):
        objects.Objects(str(other), None, None)
