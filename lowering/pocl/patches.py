"""Patches: functions of PoCL's library found by name, and begun anew, in this process's memory.

Most of them are not for others to call, so the loader does not know them; the symbol table of the
library's file says how far from its beginning each is.
"""

from __future__ import annotations

import ctypes
import mmap
import struct
from array import array
from collections.abc import Sequence
from typing import Any

from lowering.pocl.symbols import GUESSES

KNOWN = "pocl_llvm_generate_workgroup_function"
"""A function that can be asked for by its name: where it is says where the library begins."""

_SYMTAB = 2
_ENTRY = 24  # bytes of a symbol


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
    """Where these functions of PoCL's library, the file at `path`, are in memory; None if it cannot
    be loaded or one is not there.
    """
    try:
        places = values(path, names)
        begin = _begin(getattr(ctypes.CDLL(path), KNOWN))
    except (OSError, AttributeError, struct.error):
        return None
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
        symbols = _Symbols(file, table[4], table[5], *sections[table[6]][4:6])
        entries = [symbols.entry(name) for name in names]
        return None if None in entries else [symbols.value(e) for e in entries if e is not None]


class _Symbols:
    """A table of symbols, and where the texts of their names are."""

    def __init__(self, file: mmap.mmap, begin: int, length: int, texts: int, extent: int):
        self._file, self._begin, self._length = file, begin, length
        self._texts, self._extent = texts, extent
        self._named = b""

    def entry(self, name: bytes) -> int | None:
        """Which entry has this name."""
        guess = GUESSES.get(name)
        if guess is not None and (guess + 1) * _ENTRY <= self._length:
            (text,) = struct.unpack_from("<I", self._file, self._begin + _ENTRY * guess)
            at = self._texts + text
            if self._file[at : at + len(name) + 1] == name + b"\0":
                return guess
        if not self._named:
            words = array("I", self._file[self._begin : self._begin + self._length])
            self._named = words[:: _ENTRY // words.itemsize].tobytes()  # six times as fast
        at = self._file.find(b"\0" + name + b"\0", self._texts, self._texts + self._extent)
        found = -1 if at < 0 else _find(self._named, struct.pack("<I", at + 1 - self._texts))
        return found if found >= 0 else None

    def value(self, entry: int) -> int:
        return struct.unpack_from("<Q", self._file, self._begin + _ENTRY * entry + 8)[0]


def _find(words: bytes, word: bytes) -> int:
    """The first place of a word among others, counted in words; -1: there is none."""
    at = words.find(word)
    while at >= 0 and at % len(word):
        at = words.find(word, at + 1)
    return at // len(word) if at >= 0 else -1
