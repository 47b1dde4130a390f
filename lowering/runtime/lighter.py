"""Lighter: in a builder, PoCL's LLVM does nothing twice.

PoCL's front end optimises, and before machine code PoCL runs all of -O3 over that, twice. No option
leaves anything out, so each side's function that lists the passes goes on to one that lists fewer:
in the front what simplifies, behind what makes vectors of loops. The library's symbol table says
where these functions are.
"""

from __future__ import annotations

import ctypes
import mmap
import struct
from array import array
from collections.abc import Sequence
from typing import Any

_FRONT = b"_ZN4llvm11PassBuilder"
_LEVEL = b"ENS_17OptimizationLevelE"
WHOLE = _FRONT + b"29buildPerModuleDefaultPipeline" + _LEVEL + b"b"
"""buildPerModuleDefaultPipeline(level, _): all passes of the front end."""
FIRST = _FRONT + b"34buildThinLTOPreLinkDefaultPipeline" + _LEVEL
"""buildThinLTOPreLinkDefaultPipeline(level): the same without those that `LAST` has too."""

_BUILDER = b"_ZN4llvm18PassManagerBuilder"
ALL = _BUILDER + b"25populateModulePassManagerERNS_6legacy15PassManagerBaseE"
"""populateModulePassManager(passes), which lists all that -O3 is; PoCL calls it, clang does not."""
LAST = _BUILDER + b"15addVectorPassesERNS_6legacy15PassManagerBaseEb"
"""addVectorPasses(passes, whole): to vectors, unrolling, and what tidies up after these."""

KNOWN = "pocl_llvm_generate_workgroup_function"
"""A function that can be asked for by its name: where it is says where the library begins."""

_SYMTAB = 2
_ENTRY = 24  # bytes of a symbol
_GO = b"\xe9"  # of x86: go to
_JUMP = b"\x31\xd2" + _GO  # no `whole`, which is the third argument; go to

PARSE = b"LLVMParseCommandLineOptions"
OPTIONS = (b"-instcombine-max-iterations=1",)
"""It would go over each function again until nothing changes, which mostly nothing does."""


def lighten(path: str) -> bool:
    """From now on in this process, let PoCL's library, loaded from the file at `path`, list FIRST
    for WHOLE and LAST for ALL, and take OPTIONS; False where that cannot be done.
    """
    try:
        places = addresses(path, (WHOLE, FIRST, ALL, LAST, PARSE))
    except (OSError, AttributeError, struct.error):
        return False
    if places is None:
        return False
    whole, first, every, last, parse = places
    if not (_divert(whole, _GO, first) and _divert(every, _JUMP, last)):
        return False
    words = (ctypes.c_char_p * (1 + len(OPTIONS)))(b"fx", *OPTIONS)
    take = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p)(parse)
    take(len(words), ctypes.addressof(words), None)
    return True


def _divert(start: int, jump: bytes, to: int) -> bool:
    """Let the function at `start` begin with a jump to another; False where it may not."""
    return overwrite(start, jump + struct.pack("<i", to - (start + len(jump) + 4)))


def overwrite(start: int, code: bytes) -> bool:
    """Put machine code where a function of this process begins; False where that is not allowed."""
    page, end = start & -mmap.PAGESIZE, start + len(code)
    protect = ctypes.CDLL(None).mprotect
    protect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    readable = mmap.PROT_READ | mmap.PROT_EXEC
    if protect(page, end - page, readable | mmap.PROT_WRITE):
        return False
    ctypes.memmove(start, code, len(code))
    return protect(page, end - page, readable) == 0


def _begin(function: Any) -> int | None:
    """Where the library of a function begins in memory."""
    info = (ctypes.c_void_p * 4)()  # file, beginning, symbol, its place
    found = ctypes.CDLL(None).dladdr(function, info)
    return info[1] if found else None


def addresses(path: str, names: Sequence[bytes]) -> list[int] | None:
    """Where these functions of PoCL's loaded library are in memory; None if one is not there."""
    places = values(path, names)
    begin = _begin(getattr(ctypes.CDLL(path), KNOWN))
    return [begin + place for place in places] if places and begin else None


def values(path: str, names: Sequence[bytes]) -> list[int] | None:
    """The values of these symbols of an ELF file for x86-64; None if one of them is not there."""
    with open(path, "rb") as f:
        head = f.read(64)
        if head[:6] != b"\x7fELF\x02\x01" or head[18:20] != b"\x3e\x00":
            return None
        file = mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ)
    with file:
        place, size, count = (
            *struct.unpack_from("<Q", head, 40),
            *struct.unpack_from("<HH", head, 58),
        )
        sections = [struct.unpack_from("<IIQQQQII", file, place + k * size) for k in range(count)]
        table = next((s for s in sections if s[1] == _SYMTAB), None)
        if table is None:
            return None
        (begin, length), (texts, extent) = table[4:6], sections[table[6]][4:6]
        words = array("I", file[begin : begin + length])
        named = words[:: _ENTRY // words.itemsize].tobytes()  # searched six times as fast
        found = []
        for name in names:
            at = file.find(b"\0" + name + b"\0", texts, texts + extent)
            entry = -1 if at < 0 else _find(named, struct.pack("<I", at + 1 - texts))
            if entry < 0:
                return None
            found.append(struct.unpack_from("<Q", file, begin + _ENTRY * entry + 8)[0])
        return found


def _find(words: bytes, word: bytes) -> int:
    """The first place of a word among others, counted in words; -1: there is none."""
    at = words.find(word)
    while at >= 0 and at % len(word):
        at = words.find(word, at + 1)
    return at // len(word) if at >= 0 else -1
