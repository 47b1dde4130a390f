"""Linking: object files that need nothing else -> a shared library with one name.

What LLVM makes of a program is functions and constants that refer to each other by distances: they
are laid out one after the other, and the distances are written in, in a tenth of the time that `ld`
takes to start. LLVM calls two functions of the C library for what a text copies or clears: they are
brought along. An object file that has anything else is refused; then `ld` is asked.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple

_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SEGMENT = struct.Struct("<IIQQQQQQ")
_SECTION = struct.Struct("<IIQQQQIIQQ")
_SYMBOL = struct.Struct("<IBBHQQ")
_RELOCATION = struct.Struct("<QQq")
_ENTRY = struct.Struct("<QQ")

_IDENTITY = b"\x7fELF\2\1\1".ljust(16, b"\0")
_OBJECT, _LIBRARY, _X86 = 1, 3, 62
_BYTES, _SYMBOLS, _TEXTS, _RELOCATIONS, _DYNAMIC = 1, 2, 3, 4, 6  # kinds of sections
_NOTHING, _OTHER_RELOCATIONS = 8, 9
_WRITE, _ALLOC, _RUN = 1, 2, 4  # flags of sections
_USUAL = _ALLOC | _RUN | 0x10 | 0x20 | 0x200  # and: may be merged, has texts, is in a group
_LOAD, _FIND, _STACK = 1, 2, 0x6474E551  # kinds of segments
_PARTS = 5  # segments
_MAY_READ, _MAY_WRITE, _MAY_RUN = 4, 2, 1
_DISTANCES = (2, 4)  # a distance, and one to a function that may be elsewhere
_FUNCTION, _GLOBAL, _WEAK = 2, 1, 2
_PAGE = 4096


# LLVM makes these calls of a text that copies or clears more than eight vectors: the strings of a
# processor are a few instructions, and start quickly enough for that.
_BROUGHT = {
    b"memcpy": (
        b"\x48\x89\xf8"  # mov %rdi, %rax
        b"\x48\x89\xd1"  # mov %rdx, %rcx
        b"\xf3\xa4\xc3"  # rep movsb; ret
    ),
    b"memset": (
        b"\x49\x89\xf8"  # mov %rdi, %r8
        b"\x89\xf0"  # mov %esi, %eax
        b"\x48\x89\xd1"  # mov %rdx, %rcx
        b"\xf3\xaa"  # rep stosb
        b"\x4c\x89\xc0\xc3"  # mov %r8, %rax; ret
    ),
}


class Unlinkable(Exception):
    """What this linker does not know, or a name that no file has."""


class Section(NamedTuple):
    kind: int
    flags: int
    align: int
    data: bytes
    link: int
    info: int


class Place(NamedTuple):
    """Where a function is, and how many bytes it has."""

    at: int
    size: int


def link(objects: Sequence[bytes], name: bytes) -> bytes:
    """The library of object files for x86-64 in which a loader finds the function `name`."""
    files = [_sections(data) for data in objects]
    files += [_brought(name) for name in _BROUGHT if any(b"\0%s\0" % name in x for x in objects)]
    head = _HEADER.size + _PARTS * _SEGMENT.size + 2 * _SYMBOL.size + 5 * 4 + len(name) + 2
    places: dict[tuple[int, int], int] = {}
    constants = _lay_out(files, 0, head, places)
    start = -(-constants // _PAGE) * _PAGE
    code = _lay_out(files, _RUN, start, places)
    dynamic = -(-code // _PAGE) * _PAGE
    image = bytearray(dynamic)
    for (f, s), at in places.items():
        data = files[f][s].data
        image[at : at + len(data)] = data
    known, functions = _names(files, places)
    for at, distance in _distances(files, places, known):
        struct.pack_into("<i", image, at, distance)
    if name not in functions:
        raise Unlinkable(name)
    table = _tables(image, name, functions[name])
    segments = (
        (_LOAD, _MAY_READ, 0, constants),
        (_LOAD, _MAY_READ | _MAY_RUN, start, code - start),
        (_LOAD, _MAY_READ | _MAY_WRITE, dynamic, len(table)),
        (_FIND, _MAY_READ | _MAY_WRITE, dynamic, len(table)),
        (_STACK, _MAY_READ | _MAY_WRITE, 0, 0),
    )
    for k, (kind, may, at, size) in enumerate(segments):
        place = _HEADER.size + k * _SEGMENT.size
        _SEGMENT.pack_into(image, place, kind, may, at, at, at, size, size, _PAGE)
    return _described(bytes(image) + table, functions, (start, code), dynamic)


def _sections(data: bytes) -> list[Section]:
    """An object file's sections; those that are no part of a program have no flags."""
    head = _HEADER.unpack_from(data)
    if (head[0][:7], head[1], head[2]) != (_IDENTITY[:7], _OBJECT, _X86):
        raise Unlinkable("no object file for x86-64")
    packed = [_SECTION.unpack_from(data, head[6] + k * _SECTION.size) for k in range(head[12])]
    names = data[packed[head[13]][4] :]
    found = []
    for label, kind, flags, _, at, size, link, info, align, _ in packed:
        if names.startswith(b".eh_frame\0", label):  # nothing is thrown
            flags = 0
        if flags & _ALLOC and size and (kind != _BYTES or flags & ~_USUAL):
            raise Unlinkable(f"a section of kind {kind} with flags {flags}")
        here = b"" if kind == _NOTHING else data[at : at + size]
        found.append(Section(kind, flags if size else 0, align, here, link, info))
    return found


def _brought(name: bytes) -> list[Section]:
    """The sections of a file that has one function, which gives way to one of the same name."""
    code = _BROUGHT[name]
    symbol = _SYMBOL.pack(1, _WEAK << 4 | _FUNCTION, 0, 0, 0, len(code))
    return [
        Section(_BYTES, _ALLOC | _RUN, 16, code, 0, 0),
        Section(_SYMBOLS, 0, 8, symbol, 2, 0),
        Section(_TEXTS, 0, 1, b"\0" + name + b"\0", 0, 0),
    ]


def _lay_out(
    files: Sequence[Sequence[Section]], runs: int, start: int, places: dict[tuple[int, int], int]
) -> int:
    """Give the sections with code, or those without, places from `start` on; where they end."""
    for f, sections in enumerate(files):
        for s, section in enumerate(sections):
            if section.flags & _ALLOC and section.flags & _RUN == runs:
                align = max(section.align, 1)
                start = -(-start // align) * align
                places[f, s] = start
                start += len(section.data)
    return start


Symbols = dict[tuple[int, int], int]
"""Where the symbols of each file are: by the file's number and the symbol's."""


def _names(
    files: Sequence[Sequence[Section]], places: dict[tuple[int, int], int]
) -> tuple[Symbols, dict[bytes, Place]]:
    """Where all symbols are, those of one name at one place, and the functions."""
    known: Symbols = {}
    shared: dict[bytes, tuple[int, int]] = {}  # place, binding
    functions: dict[bytes, Place] = {}
    asked: list[tuple[tuple[int, int], bytes]] = []
    for f, sections in enumerate(files):
        for table in sections:
            if table.kind != _SYMBOLS:
                continue
            texts = sections[table.link].data
            for k, (label, info, _, section, value, size) in enumerate(
                _SYMBOL.iter_unpack(table.data)
            ):
                name = texts[label : texts.index(b"\0", label)]
                binding, at = info >> 4, places.get((f, section))
                if binding:
                    asked.append(((f, k), name))
                if at is None:
                    continue
                known[f, k] = at + value
                if binding and shared.get(name, (0, _WEAK))[1] == _WEAK:
                    shared[name] = (at + value, binding)
                elif binding == _GLOBAL:
                    raise Unlinkable(f"two functions {name!r}")
                if info & 15 == _FUNCTION:
                    functions[name] = Place(at + value, size)
    for symbol, name in asked:
        known.pop(symbol, None)
        if name in shared:
            known[symbol] = shared[name][0]
    return known, functions


def _name(sections: Sequence[Section], symbols: Section, k: int) -> str:
    """The name of a symbol of a table."""
    label = _SYMBOL.unpack_from(symbols.data, k * _SYMBOL.size)[0]
    texts = sections[symbols.link].data
    return texts[label : texts.index(b"\0", label)].decode()


def _distances(
    files: Sequence[Sequence[Section]], places: dict[tuple[int, int], int], known: Symbols
) -> Iterator[tuple[int, int]]:
    """What is to be written where."""
    for f, sections in enumerate(files):
        for table in sections:
            if (f, table.info) not in places or table.kind != _RELOCATIONS:
                if table.kind == _OTHER_RELOCATIONS:
                    raise Unlinkable("relocations of another kind")
                continue
            for offset, info, more in _RELOCATION.iter_unpack(table.data):
                to = known.get((f, info >> 32))
                if to is None or info & 0xFFFFFFFF not in _DISTANCES:
                    name = _name(sections, sections[table.link], info >> 32)
                    raise Unlinkable(f"a relocation {info & 0xFFFFFFFF} of {name!r}")
                at = places[f, table.info] + offset
                yield at, to + more - at


def _tables(image: bytearray, name: bytes, place: Place) -> bytes:
    """Put what a loader looks names up in behind the heads; the table that says where that is."""
    symbols = _HEADER.size + _PARTS * _SEGMENT.size
    _SYMBOL.pack_into(image, symbols + _SYMBOL.size, 1, _GLOBAL << 4 | _FUNCTION, 0, 1, *place)
    buckets = symbols + 2 * _SYMBOL.size
    struct.pack_into("<5I", image, buckets, 1, 2, 1, 0, 0)  # one list, of symbol 1
    texts = buckets + 5 * 4
    image[texts : texts + len(name) + 2] = b"\0" + name + b"\0"
    entries = ((4, buckets), (5, texts), (6, symbols), (10, len(name) + 2), (11, _SYMBOL.size))
    return b"".join(_ENTRY.pack(*x) for x in (*entries, (0, 0)))


def _described(
    image: bytes, functions: dict[bytes, Place], code: tuple[int, int], dynamic: int
) -> bytes:
    """The file with its head and with the tables by which tools tell functions apart."""
    texts, entries = b"\0", bytes(_SYMBOL.size)
    for name, place in functions.items():
        entries += _SYMBOL.pack(len(texts), _FUNCTION, 0, 1, *place)
        texts += name + b"\0"
    labels = b"\0.text\0.dynamic\0.symtab\0.strtab\0"
    text, size = len(image), len(entries)
    count = size // _SYMBOL.size
    start, end = code
    sections = (
        (0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
        (1, _BYTES, _ALLOC | _RUN, start, start, end - start, 0, 0, 64, 0),
        (7, _DYNAMIC, _ALLOC | _WRITE, dynamic, dynamic, text - dynamic, 0, 0, 8, _ENTRY.size),
        (16, _SYMBOLS, 0, 0, text, size, 4, count, 8, _SYMBOL.size),
        (24, _TEXTS, 0, 0, text + size, len(texts), 0, 0, 1, 0),
        (24, _TEXTS, 0, 0, text + size + len(texts), len(labels), 0, 0, 1, 0),
    )
    data = bytearray(image + entries + texts + labels)
    data += bytes(-len(data) % 8)
    numbers = (_HEADER.size, _SEGMENT.size, _PARTS, _SECTION.size, len(sections), len(sections) - 1)
    tables = 0, _HEADER.size, len(data), 0  # first instruction, segments, sections, flags
    _HEADER.pack_into(data, 0, _IDENTITY, _LIBRARY, _X86, 1, *tables, *numbers)
    return bytes(data) + b"".join(_SECTION.pack(*x) for x in sections)
