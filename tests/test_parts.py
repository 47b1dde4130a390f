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
from lowering.pocl import builders, lean, parts
from lowering.pocl.apart import Apart
from lowering.profile import AVX2
from lowering.runtime import devices
from lowering.templates import team

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


TEXT = TEXT.replace("FUNCTION", FUNCTION)


def text_of(source: str) -> parts.Text:
    text = parts.read(source)
    assert text is not None
    return text


def test_a_text_is_parted():
    text = text_of(TEXT)
    key = text.keys["tile"]
    main, _ = text.deal([key], 1)
    assert "other(n)" not in main.source and main.keys == () and main.calls == (key,)
    assert (
        'extern __attribute__((visibility("hidden"))) void tile(float_u x, int n);\n' in main.source
    )
    assert main.source.startswith(f"#define tile tile_{key}\n") and "__kernel" in main.source
    part = text._module({"tile"}, set())
    assert part.keys == (key,) and "other(n)" in part.source and "weak" in part.source
    assert "float_u;" in part.source and "FX_ASK(x) x;" in part.source
    assert not any(x in part.source for x in ("int_u", "__SSE2__", "struct", "helper", "__kernel"))
    assert part.source.count("#pragma clang attribute p") == 2


def test_a_key_is_of_all_that_a_part_is_made_of():
    def key(old: str, new: str) -> str:
        assert old in TEXT
        return text_of(TEXT.replace(old, new)).keys["tile"]

    same = key("int_u;", "long_u;"), key("helper", "another"), key("tile(0", "tile(1")
    assert set(same) == {text_of(TEXT).keys["tile"]}
    others = key("other(n)", "other(2)"), key('"avx"', '"avx2"'), key("FX_ASK(x) x", "FX_ASK(x) 1")
    assert len({*others, same[0], key("aligned(4))) float", "aligned(8))) float")}) == 5


def test_a_part_has_its_helpers_and_names_the_parts_that_it_calls():
    more = "FX_PART void both(int n) {\n  helper(n);\n  tile(0, n);\n}\n"
    text = text_of(TEXT.replace("__kernel", f"{more}__kernel"))
    both = text._module({"both"}, set())
    assert both.calls == (text.keys["tile"],) and "static void helper(int n) { }" in both.source
    other = text_of(TEXT.replace("__kernel", f"{more}__kernel").replace("other(n)", "other(2)"))
    assert other.keys["both"] != text.keys["both"]


def test_what_calls_a_stage_is_no_part():
    stage = "#define FX_STAGE static\nFX_STAGE void stage_0(int n) {\n}\n"
    more = "FX_PART void both(int n) {\n  stage_0(n);\n}\n"
    assert text_of(TEXT.replace("__kernel", f"{stage}{more}__kernel")).keys.keys() == {"tile"}


def test_stages_are_dealt_and_called_across_texts():
    head = "#define FX_STAGE static __attribute__((noinline))\n"
    body = "  for (;;) tile(0, n);\n" * 400
    stages = "".join(f"FX_STAGE void stage_{k}(int n) {{\n{body}}}\n" for k in range(4))
    source = TEXT.replace("__kernel", f"{head}{stages}__kernel")
    calls = "".join(f"stage_{k}(stage); " for k in range(4))
    main, lists = text_of(source.replace("tile(0, stage); }", f"{calls}}}")).deal((), 1)
    texts = [main, *(m for modules in lists for m in modules)]
    assert len(texts) == 3  # one of parts, one of stages
    for k in range(4):
        whole = [m for m in texts if f"void stage_{k}(int n) {{" in m.source]
        assert len(whole) == 1
        assert whole == [main] or f"extern {parts._HIDDEN} void stage_{k}(int n);" in main.source
    assert sum(m.source.count("{\n  for") for m in texts[:1]) in (1, 2, 3)


def test_little_that_no_other_program_has_is_not_worth_a_process():
    head = "#pragma OPENCL FP_CONTRACT ON\n#define FX_STAGE static __attribute__((noinline))\n"
    stages = "".join(f"FX_STAGE void stage_{k}(int n) {{\n  n = {k};\n}}\n" for k in range(4))
    calls = "".join(f"stage_{k}(stage); " for k in range(4))
    source = f"{head}{stages}__kernel void fx(const int stage) {{ {calls}}}\n"
    main, lists = text_of(source).deal((), 1)
    assert not lists and main.source == text_of(source).deal((), 0)[0].source


def test_what_the_kernel_does_not_call_is_not_in_its_text():
    """PoCL takes a kernel and what it calls, and leaves all else of its text out."""
    head = "#define FX_STAGE static __attribute__((noinline))\n"
    more = f"FX_PART void more(int n) {{\n{'  other(n);' * 910}\n}}\n"
    stage = "FX_STAGE void stage_0(int n) {\n  tile(0, n);\n}\n"
    source = TEXT.replace("other(n);", "  other(n);\n" * 760).replace("{ }", f"{{{' n;' * 2000} }}")
    source = source.replace("__kernel", f"{head}{more}{stage}__kernel")
    text = text_of(source.replace("tile(0, stage)", "stage_0(0); more(0)"))
    main, ((parted, staged),) = text.deal((), 1)
    assert "void stage_0(int n) {" in staged.source and "tile(float_u x, int n);" in staged.source
    assert "tile" not in main.source and sorted(text.keys.values()) == list(parted.keys)


def test_a_stage_that_calls_stages_stays_with_the_kernel():
    head = "#define FX_STAGE static __attribute__((noinline))\n"
    inner = f"FX_STAGE void stage_0_p0(int n) {{\n{'  tile(0, n);' * 2000}\n}}\n"
    outer = f"FX_STAGE void stage_0(int n) {{\n{'  stage_0_p0(n);' * 3000}\n}}\n"
    source = TEXT.replace("__kernel", f"{head}{inner}{outer}__kernel")
    main, ((*_, one),) = text_of(source.replace("tile(0, stage)", "stage_0(0)")).deal((), 1)
    assert "stage_0(int n) {" in main.source and "stage_0_p0(int n) {" in one.source


@pytest.mark.parametrize("name", ["unknown;", "int x = 1;", "#define A \\"])
def test_a_text_of_something_unknown_stays_whole(name):
    assert parts.read(TEXT.replace("static void helper", f"{name}\nstatic void helper")) is None


def test_what_is_unknown_is_not_searched():
    """Roots of a Fourier transform: a search took minutes, where an item is asked for is none."""
    roots = r"\000\200\077" * 100_000
    constant = f'static __constant char roots[] __attribute__((aligned(64))) = "{roots}";\n'
    assert parts.read(TEXT.replace("static void helper", f"{constant}static void helper")) is None


def team_of_two(stages: str, head: str = ""):
    """The keys of a team's functions in a text with these stages."""
    kind = "#define FX_TEAM static __attribute__((noinline, optnone))\n"
    stage = "#define FX_STAGE static __attribute__((noinline))\n"
    main = "__kernel void fx(const int s) { team t; while (team_next(&t, 2) >= 0) stage_0(s); }\n"
    text = f"{head}{kind}{stage}{team.source('team_of(')}\n{stages}\n{main}"
    return {name: key for name, key in text_of(text).keys.items() if name.startswith("team")}


def test_teams_share_their_functions():
    """Whatever else the texts have, and whichever instructions they ask for."""
    plain = team_of_two("FX_STAGE void stage_0(int n) {\n}\n")
    asks = "#if defined(__AVX__)\n#define wide(x) x\n#endif\n"
    body = "FX_STAGE void stage_0(int n) {\n  wide(n);\n}\n"
    assert plain.keys() >= {"team_of", "team_timed", "team_next", "team_leave"}
    assert plain == team_of_two(body, f"#define __AVX__ 1\n{asks}")


def sines(count: int):
    """A plan of sines of a number of arguments, scaled as no other program's."""
    b = Builder()
    x = b.input((count,), np.dtype(np.float32))
    y = b.map("sin", x)
    return make_plan(b.graph([b.map("mul", y, b.const(SCALE, y.dtype, y.shape))]), AVX2)


def test_what_the_library_does_with_few_arguments_is_a_part():
    """Sines of large ones: their function is a call, of a function that is cold in all texts."""
    text = text_of(sines(40).programs[0].source)
    assert {name.rpartition("_")[0] for name in text.keys} == {"large_reduce"}
    main, ((piece,),) = text.deal((), 1)
    for name, key in text.keys.items():
        declared = main.source.partition(f" {name}(")[0].rpartition("\n")[2]
        assert "extern" in declared and "cold" in declared and key in piece.keys
    assert not text.deal(piece.keys, 1)[1]


def test_products_share_their_tiles():
    one, other = (text_of(product(width).programs[0].source).keys for width in (40, 64))
    assert set(one.values()) & set(other.values())


@pytest.fixture
def device(tmp_path, monkeypatch):
    """PoCL of the version whose programs are shared, with a cache of its own and a builder."""
    found = [d for d in devices.devices() if lean.suits(d, SIMPLE)]
    if not found or builders.library() is None or shutil.which("ld") is None:
        pytest.skip("needs the PoCL that has the short way")
    monkeypatch.setenv("FX_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(builders, "processes", lambda: 2)
    monkeypatch.setattr(Apart, "able", True)
    kept = dict(found[0].programs)
    found[0].programs.clear()
    builders.close()
    builders.prepare()
    for _ in range(300):
        if all(b.ready for b in builders._builders):
            break
        time.sleep(0.02)
    assert len(builders._builders) == 1
    yield found[0]
    found[0].programs.clear()
    found[0].programs.update(kept)
    builders.close()


@pytest.fixture
def asked(monkeypatch):
    """What pieces a builder was given, and what lists of texts for more, a pair a program."""
    found: list[tuple] = []
    join = builders.Builder.join

    def noted(self, main, known, texts, otherwise, early=None):
        found.append((known, texts))
        return join(self, main, known, texts, otherwise, early=early)

    monkeypatch.setattr(builders.Builder, "join", noted)
    return found


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
    known = [(len(x), len(texts)) for x, texts in asked]
    assert known == [(0, 1)]
    asked.clear()
    check(product(64, 2 * SCALE), device, 2 * SCALE)
    ((known, _),) = asked
    assert known


@pytest.mark.driver
def test_rare_branches_are_taken_in_pieces(device, asked):
    x = np.r_[np.linspace(-9, 9, 500), 1e5, -3e7, np.float32(2e38)].astype(np.float32)
    (y,) = run(sines(x.size), device, [x])
    ((_, texts),) = asked
    assert sum("large_reduce" in source for source, _ in texts[0]) == 1
    np.testing.assert_allclose(y, np.sin(x.astype(np.float64)) * SCALE, rtol=1e-6, atol=1e-7)


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
    assert asked
    for compiles, folder in ((0, tmp_path), (1, tmp_path / "empty")):
        environment = {"FX_BUILDERS": "0", "FX_CACHE_DIR": str(folder)}
        environment["POCL_CACHE_DIR"] = str(tmp_path / f"pocl{compiles}")
        command = [sys.executable, "-c", ALONE, str(Path(__file__).parent), repr(float(SCALE))]
        said = subprocess.run(
            command, capture_output=True, text=True, env=os.environ | environment, timeout=600
        )
        assert said.stdout.split() == [str(compiles), bits], said.stderr


@pytest.mark.driver
@pytest.mark.parametrize("how", ["refused", "dead"])
def test_what_cannot_be_had_in_pieces_is_built_whole(device, monkeypatch, how):
    said = []

    def join(self, *job, early):
        said.append(how)
        if how == "dead":
            self.process.kill()
            raise EOFError

    monkeypatch.setattr(builders.Builder, "join", join)
    check(product(40, SCALE), device)
    assert said == [how] and not Apart.able


@pytest.mark.driver
def test_a_program_whose_piece_is_refused_is_built_whole(device, monkeypatch):
    """The fork that would make it ends, and the builder has nothing to link."""
    monkeypatch.setattr(lean, "piece", lambda source, options: (f"{source}void", options))
    check(product(40, SCALE), device)
    assert not Apart.able and all(b.ready for b in builders._builders)


def test_a_text_of_no_stage_and_no_part_is_not_read():
    head = "#define FX_STAGE static __attribute__((noinline))\n"
    stage = "FX_STAGE void stage_0(int n) {\n}\n"
    main = "__kernel void fx(const int stage) { stage_0(stage); }\n"
    assert parts.read(f"{head}{main}") is None
    assert parts.read(f"{head}{stage}{main}") is not None
    assert parts.read(TEXT) is not None


@pytest.mark.parametrize("size", [1, 400])
def test_what_is_longer_than_all_else_is_not_by_the_kernel(size):
    head = "#pragma OPENCL FP_CONTRACT ON\n#define FX_STAGE static __attribute__((noinline))\n"
    sizes = size * 400, size
    stages = [
        f"FX_STAGE void stage_{k}(int n) {{\n{'  for (;;) n = 1;' * n}\n}}\n"
        for k, n in enumerate(sizes)
    ]
    main = "__kernel void fx(const int stage) { stage_0(stage); stage_1(stage); }\n"
    kernel, ((other,),) = text_of(f"{head}{''.join(stages)}{main}").deal((), 1)
    assert "stage_0(int n) {" in other.source and "stage_0(int n);" in kernel.source
    assert "stage_1(int n) {" in kernel.source
