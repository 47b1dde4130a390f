"""Parts: a program's text to one that declares the functions which programs share, and to these.

What `program.source` marks (FX_PART: tiles, panels) is compiled apart: beside the rest of the
program, and once a machine, since the disk cache keeps each under its text. A part calls no other
function. Its name in a link is a hash of all that it is made of: equal names are equal functions.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

_MARK = re.compile(r"^#define FX_PART static (.*)$", re.M)
_FUNCTION = re.compile(r"^(FX_PART void (\w+)\([^{;]*\)) \{\n.*?^\}\n", re.M | re.S)
_OTHER = re.compile(r"^(?!FX_PART)[A-Za-z_].*", re.M)
_HEAD = re.compile(
    r"^(?:#(?:define|if|else|endif|pragma clang attribute|pragma OPENCL).*|typedef .*;)$", re.M
)
_NAMED = re.compile(r"#define (\w+)|typedef .*?(\w+);$")
_EMPTY = re.compile(r"^#if.*\n(?:#else\n)?#endif\n", re.M)
_CALLED = re.compile(r"\b(\w+)\(")
_WORD = re.compile(r"\w+")

_ELSEWHERE = 'extern __attribute__((visibility("hidden")))'
_HERE = '__attribute__((weak, visibility("hidden")))'  # a link may have several, all equal
_POP = "#pragma clang attribute pop"


@dataclass(frozen=True, slots=True)
class Part:
    """A function that is built apart, and the lines of the program's head that it needs."""

    name: str
    text: str
    head: str

    @property
    def key(self) -> str:
        """A hash of all that it is made of."""
        return hashlib.sha256(f"{self.head}\0{self.text}".encode()).hexdigest()[:32]

    @property
    def rename(self) -> str:
        """The line that gives it its name in a link."""
        return f"#define {self.name} {self.name}_{self.key}"


def split(source: str) -> tuple[str, list[Part]]:
    """The text in which parts are only declared, and these; none where one of them calls what is
    defined elsewhere.
    """
    found = list(_FUNCTION.finditer(source))
    if not found or "\\\n" in source:
        return source, []
    head = _head_lines(source)
    others = {x for line in _OTHER.findall(source) for x in _CALLED.findall(line)}
    others.update(m[2] for m in found)
    parts = []
    for m in found:
        words = set(_WORD.findall(m[0]))
        if words & (others - {m[2]}):
            return source, []
        parts.append(Part(m[2], m[0], _needed(head, words)))
    main = _FUNCTION.sub(lambda m: f"{m[1]};\n", source)
    renames = "\n".join(p.rename for p in parts)
    return f"{renames}\n{_marked(main, _ELSEWHERE)}", parts


def together(source: str, parts: Sequence[Part]) -> str:
    """One text of some parts of a program."""
    texts = "".join(p.text for p in parts)
    head = _needed(_head_lines(source), set(_WORD.findall(texts)))
    end = f"{_POP}\n" if "#pragma clang attribute push" in head else ""
    renames = "\n".join(p.rename for p in parts)
    return f"{renames}\n{_marked(head, _HERE)}{texts}{end}"


def _marked(text: str, kind: str) -> str:
    """The text, its mark standing for functions of this kind."""
    return _MARK.sub(rf"#define FX_PART {kind} \1", text)


def _head_lines(source: str) -> list[tuple[str, str, set[str]]]:
    """The lines of a program's head, what each names, if anything, and its words."""
    lines = [x for x in _HEAD.findall(source) if x != _POP]
    named = [_NAMED.match(x) for x in lines]
    names = [n[1] or n[2] if n else "" for n in named]
    return [(x, n, set(_WORD.findall(x))) for x, n in zip(lines, names, strict=True)]


def _needed(lines: Sequence[tuple[str, str, set[str]]], words: set[str]) -> str:
    """Those that a text of these words needs, in order."""
    needed, before = words, set[str]()
    while needed != before:
        before = needed
        needed = words.union(*(w for _, name, w in lines if not name or name in before))
    head, longer = "".join(f"{x}\n" for x, name, _ in lines if not name or name in needed), ""
    while head != longer:
        head, longer = _EMPTY.sub("", head), head
    return head
