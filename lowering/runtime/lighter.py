"""Lighter: in a builder, PoCL's LLVM does not do again all that its front end has done.

What PoCL's front end gives is optimised, but for loops as vectors; before machine code PoCL runs
all of -O3 over it, twice. No option leaves that out, so the function that lists those passes goes
on to the one that lists the last of them; the library's symbol table says where both are.
"""

from __future__ import annotations

import ctypes
import mmap
import struct
from collections.abc import Sequence
from typing import Any, BinaryIO

_BUILDER = b"_ZN4llvm18PassManagerBuilder"
ALL = _BUILDER + b"25populateModulePassManagerERNS_6legacy15PassManagerBaseE"
"""populateModulePassManager(passes), which lists all that -O3 is; PoCL calls it, clang does not."""
LAST = _BUILDER + b"15addVectorPassesERNS_6legacy15PassManagerBaseEb"
"""addVectorPasses(passes, whole): to vectors, unrolling, and what tidies up after these."""

KNOWN = "pocl_llvm_generate_workgroup_function"
"""A function that can be asked for by its name: where it is says where the library begins."""

_SYMTAB = 2
_ENTRY = 24  # bytes of a symbol
_CHUNK = _ENTRY << 15
_JUMP = b"\x31\xd2\xe9"  # of x86: no `whole`, which is the third argument; go to


def lighten(path: str) -> bool:
    """Let PoCL's library, loaded from the file at `path`, list LAST for ALL from now on in this
    process; False where that cannot be done, and nothing changes.
    """
    try:
        places = addresses(path, (ALL, LAST))
    except (OSError, AttributeError, struct.error):
        return False
    if places is None:
        return False
    end = places[0] + len(_JUMP) + 4
    return overwrite(places[0], _JUMP + struct.pack("<i", places[1] - end))


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
        f.seek(*struct.unpack_from("<Q", head, 40))
        size, count = struct.unpack_from("<HH", head, 58)
        heads = f.read(size * count)
        sections = [struct.unpack_from("<IIQQQQII", heads, k * size) for k in range(count)]
        table = next((s for s in sections if s[1] == _SYMTAB), None)
        if table is None:
            return None
        texts = _find(f, sections[table[6]], [b"\0" + name + b"\0" for name in names], 1)
        entries = texts and _find(f, table, [struct.pack("<I", at + 1) for at in texts], _ENTRY)
        return entries and [_number(f, table[4] + at + 8) for at in entries]


def _find(
    f: BinaryIO, section: Sequence[int], wanted: Sequence[bytes], step: int
) -> list[int] | None:
    """Where these bytes begin in a section, at multiples of `step`; None if some do not."""
    found: dict[bytes, int] = {}
    for start in range(0, section[5], _CHUNK):
        f.seek(section[4] + start)
        part = f.read(min(_CHUNK + max(map(len, wanted)), section[5] - start))
        for text in (w for w in wanted if w not in found):
            at = part.find(text)
            while at >= 0 and at % step:
                at = part.find(text, at + 1)
            if at >= 0:
                found[text] = start + at
        if len(found) == len(wanted):
            return [found[w] for w in wanted]
    return None


def _number(f: BinaryIO, at: int) -> int:
    f.seek(at)
    return struct.unpack("<Q", f.read(8))[0]
