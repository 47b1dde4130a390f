"""PoCL 3.0 without its headers and its library: source -> LLVM bitcode -> program.

PoCL's wheel parses 17,000 declarations for every program (130 ms) and reads a library of 7 MB for
the first one of a process (450 ms). Our sources call next to none of it. So they are compiled with
the header's include guard defined and a prelude of a few lines, the bitcode is taken out of what
PoCL gives back, and a program is made of that (docs/why/lean-builds.md).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache, lru_cache
from typing import Any

from lowering.pocl import processor
from lowering.pocl.ahead import LAUNCHER, Job, bitcode_of
from lowering.pocl.headers import TYPES, WIDTHS

# the wheel of PyPI, and no other: what follows relies on how this one is made
_VERSION = re.compile(r"OpenCL 3\.0 PoCL 3\.0-rc2 .*RELOC, LLVM 14\.0\.")
_OPTIONS = " -D_OPENCL_H_"  # the guard of opencl-c.h
_KERNEL = re.compile(r"__kernel void (fx\d*)\(")  # begins with letters: found 15 times faster
_LAUNCHED = re.compile(
    r"__kernel void fx\((.*)\) \{\n  const long item = get_group_id\(0\);\n((?:  .*\n)*)\}\n"
)
_TABLE = re.compile(r"uchar \*volatile t\[\] = \{.*?\};")  # of where the arguments are
_PARAMETER = re.compile(r"[pn]\d+")
_ABSENT = re.compile(
    r"\b(?:fmod|barrier|mem_fence|get_(?:local|global|num|work)\w*|vload\w*|vstore\w*)\("
)
_SIGNS = "fmod(", "barrier(", "mem_fence(", "get_local", "get_global", "get_num", "get_work"
_SIGNS = (*_SIGNS, "vload", "vstore")  # one of them is in what `_ABSENT` finds, 20 times as fast
_CONVERSION = re.compile(r"convert_\w+")


def suits(device: Any, source: str) -> bool:
    """Whether this driver and this source can do without."""
    return known(device) and _does_without(source)


@lru_cache(4)  # one is asked about before it is made ahead, and when it is loaded
def _does_without(source: str) -> bool:
    if _KERNEL.search(source) is None:
        return False
    return not any(sign in source for sign in _SIGNS) or _ABSENT.search(source) is None


def kernels(source: str) -> list[str]:
    """The names of a source's kernels."""
    return _KERNEL.findall(source)


def known(device: Any) -> bool:
    """Whether this is the driver that has a short way."""
    if device.driver != "pocl":
        return False
    return _VERSION.match(device.cl_device.platform.version) is not None


def machine(device: Any) -> tuple[Any, ...]:
    """What bitcode and code depend on besides the text; PoCL's devices share both."""
    d = device.cl_device
    _, _, name = d.name.partition("-")
    return (d.platform.version, d.driver_version, name, sorted(processor.features()))


def bitcode(device: Any, source: str, options: str, key: str) -> bytes | None:
    """The program as LLVM bitcode, its kernels' names made unique by `key`; None where it fails.

    PoCL keeps machine code of such programs under the kernel's name alone.
    """
    import pyopencl as cl
    from pyopencl import _cl

    text = _text(source, key)
    program = _cl._Program(device.context, text)
    try:
        program.compile((options + _OPTIONS).encode(), [device.cl_device], [])
        binaries: Any = program.get_info(cl.program_info.BINARIES)
    except cl.Error:
        return None
    return bitcode_of(bytes(binaries[0]))


def job(source: str, options: str, key: str, launches: Iterable[tuple[str, int, int]]) -> Job:
    """The same and the machine code of some launches, as another process is asked for it."""
    named = tuple((f"{name}_{key}", size, local) for name, size, local in launches)
    text = _text(_LAUNCHED.sub(_with_launcher, source), key)
    return text, options + _OPTIONS, options, named


def piece(source: str, options: str) -> tuple[str, str]:
    """A text without kernels and the options of the front end, for another process."""
    return _used(source) + source, options + _OPTIONS


def _text(source: str, key: str) -> str:
    return _used(source) + _KERNEL.sub(rf"__kernel void \1_{key}(", source)


def _with_launcher(kernel: re.Match[str]) -> str:
    """A kernel whose groups are one item each, and the function that PoCL calls for a group: it
    gets pointers to arguments (a table of which a stage may ask for), its context, and the group's
    place. `objects.launched` names it.
    """
    params = [p.rsplit(" ", 1) for p in kernel[1].split(", ")]
    body = _TABLE.sub("uchar **t = given + 1;", kernel[2])
    used = {"stage", *_PARAMETER.findall(body)}
    lines = [f"void {LAUNCHER}(uchar **given, uchar *context, ulong item, ulong y, ulong z) {{"]
    for k, (kind, name) in enumerate(params):
        kind, name = (f"{kind} *", name[1:]) if name[0] == "*" else (kind, name)
        if name in used:
            lines.append(f"  {kind} {name} = *({kind} *)given[{k}];")
    return kernel[0] + "\n".join(lines) + f"\n{body}}}\n"


def load(device: Any, code: bytes, options: str) -> Any:
    """A program made of bitcode."""
    from pyopencl import _cl

    program = _cl._Program(device.context, [device.cl_device], [code])
    program._build(options.encode(), [device.cl_device])
    return program


def prelude() -> str:
    """What our sources use of the header and the library: `_group_id_x` is PoCL's own name."""
    return "".join(_brought())


def _used(source: str) -> str:
    """What this one uses of that."""
    words = {word for word in ("get_group_id", "min", "max", "mul_hi") if f"{word}(" in source}
    words.update(_CONVERSION.findall(source))
    return "".join(text for text, word in _brought().items() if word in words)


@cache
def _brought() -> dict[str, str]:
    """The texts of that, and the word of a source by which it asks for each."""
    group = "extern __constant ulong _group_id_x;\n#define get_group_id(d) _group_id_x\n"
    texts = {group: "get_group_id"}
    function = "static inline __attribute__((overloadable, always_inline))"
    for t in ("int", "long"):
        for word, sign in (("min", "<"), ("max", ">")):
            texts[f"{function} {t} {word}({t} a, {t} b) {{ return a {sign} b ? a : b; }}\n"] = word
    for t in (f"{t}{n}" for t in TYPES for n in WIDTHS):
        texts[f"#define convert_{t}(x) __builtin_convertvector(x, {t})\n"] = f"convert_{t}"
    return texts | {_MUL_HI: "mul_hi"}


_MUL_HI = """
static inline __attribute__((always_inline)) ulong mul_hi(ulong a, ulong b) {
  ulong al = a & 0xffffffffUL, ah = a >> 32, bl = b & 0xffffffffUL, bh = b >> 32;
  ulong low = al * bl, m1 = ah * bl + (low >> 32), m2 = al * bh + (m1 & 0xffffffffUL);
  return ah * bh + (m1 >> 32) + (m2 >> 32);
}
"""
