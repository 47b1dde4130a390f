"""Parts: a program's text to several, which are compiled side by side and linked (apart.py).

Stages can be compiled anywhere, and so can what programs share: what `program.source` marks FX_PART
or FX_TEAM (tiles, panels, the functions of a team), and the library's rare branches. Of all else a
text has what its functions need. Parts are kept on disk; the name of one in a link is a hash of all
that it is made of: equal names, equal functions.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection
from typing import NamedTuple

_KERNEL, _STAGE = "__kernel", "FX_STAGE"
_COLD = "__attribute__((noinline, cold))"
_RARE = f"static {_COLD}"  # what the library calls where hardly any argument goes
_TEAM = "FX_TEAM"
_PARTS = "FX_PART", _TEAM, _RARE
_ALONE = (_KERNEL, "FX_LIST", "static")  # functions that stand by the kernel, most of them
_ITEM = re.compile(  # without ^, which asks at each character whether a line begins
    r"(?P<line>#.*)\n"
    r"|(?P<begin>(?P<kind>\w+)\b[^\n;{}=]*?\b(?!__attribute__\b)(?P<function>\w+)\([^;{]*\))"
    r" \{(?:\n(?:(?!\}\n).*\n)*\}\n|.*\}\n)"
    r"|typedef struct \{\n(?:(?!\} ).*\n)*\} (?P<struct>\w+);\n"
    r"|typedef .*?(?P<type>\w+);\n"
    r"|(?://.*)?\n"
)
_DEFINE = re.compile(r"#define (\w+)(?: static (.*))?")
_SPLIT = (
    bytes(k if chr(k).isalnum() or k == ord("_") else ord(" ") for k in range(128)) + b"_" * 128
)
_EMPTY = re.compile(r"#if.*\n(?:#else\n)?#endif\n")
_ASKED = re.compile(r"#define (__\w+__) 1\n")  # by what may be empty

_HIDDEN = '__attribute__((visibility("hidden")))'
_WEAK = '__attribute__((weak, visibility("hidden")))'  # a link may have several, all equal

LOOP, TEXT, KERNEL = 1000, 4000, 10000
"""Characters of a function that take LLVM as long as a loop does, a text, and a kernel with what is
by it, about. A thousand take 2.2 ms; of 60 functions of the benchmarks, the root mean square of
what is missed is 6 ms of 26.
"""

FORK = 3000
"""The same of functions that are worth a process of their own, if none is kept for other programs.
(Of 2,700 and 3,700, `tiny_pytree` and `while_scalar`, a fork took 1 and 4 ms longer, of 8,900 13 ms
less.) A twin's is worth it for any stage: 1.5 of 10 ms for `tiny_add`.
"""


class Item(NamedTuple):
    """What stands at the top of a text: a directive, a type, a function."""

    text: str
    name: str  # "": it stays in all texts
    kind: str  # a function's first word
    begin: str  # a function's text before its body


class Module(NamedTuple):
    """A text of some functions; their keys if all are parts, and those of the parts it calls."""

    source: str
    keys: tuple[str, ...]
    calls: tuple[str, ...]


class Text:
    """A program's text, item by item."""

    def __init__(self, items: list[Item]):
        self._items = items
        functions = [x for x in items if x.begin]
        self._movable = {x.name: x for x in functions if x.kind in (*_PARTS, _STAGE)}
        self._kernels = {x.name for x in functions if x.kind == _KERNEL}
        self._attributes = {m[1]: m[2] for x in items if (m := _DEFINE.match(x.text)) and m[2]}
        self._attributes[_RARE] = _COLD
        names = {x.name for x in items}
        self._uses: dict[str, set[str]] = {name: set() for name in names}
        self._begins: dict[str, set[str]] = {}
        """The items that each name's items use, and those that a function's begin does."""
        for x in items:
            self._uses[x.name] |= names.intersection(_words(x.text))
        for x in functions:
            if x.name in self._movable or x.name in self._kernels:
                self._begins[x.name] = names.intersection(_words(x.begin))
        self.keys: dict[str, str] = {}
        """Of each part, by its name; what calls stages is none."""
        for x in functions:
            if x.kind in _PARTS and not self._functions({x.name}) - self.keys.keys() - {x.name}:
                text = self._text({x.name}, set())
                self.keys[x.name] = hashlib.sha256(text.encode()).hexdigest()[:32]

    def deal(
        self, known: Collection[str], count: int, least: int = FORK
    ) -> tuple[Module, list[list[Module]]]:
        """The text with the kernels, and up to `count` lists of others that take as long as it to
        compile, about; of `least` that no other program has, or none. `known`: keys of parts that
        are not to be compiled.
        """
        rest = [x for x in self._movable.values() if self.keys.get(x.name) not in known]
        rest.sort(key=lambda x: (self._calls_parts(x), -_cost(x)))
        stays = {x.name for x in rest if self._functions({x.name}) - self.keys.keys() - {x.name}}
        with_kernel = [x for x in self._items if x.kind in _ALONE]
        share = KERNEL + sum(map(_cost, rest)) + sum(len(x.text) for x in with_kernel)
        share = (share + TEXT) // (1 + count)
        owns: list[list[set[str]]] = []
        for _ in range(count):
            room, texts, before = share, [], rest
            for parts in (True, False):
                taken, room = set[str](), room - TEXT
                for x in rest:
                    free = (x.name in self.keys) == parts and x.name not in stays
                    first = not (taken or texts)  # if too long, it is longer by the kernel
                    if free and (_cost(x) <= room or first):
                        taken.add(x.name)
                        room -= _cost(x)
                texts, room = ([*texts, taken], room) if taken else (texts, room + TEXT)
                rest = [x for x in rest if x.name not in taken]
            taken = set().union(*texts)
            if taken & self.keys.keys() or sum(_cost(self._movable[x]) for x in taken) >= least:
                owns.append(texts)
            else:
                rest = before
        main = self._kernels.union(x.name for x in rest)
        unused = main - self._needed(self._kernels, main)  # PoCL would leave it out
        if unused and owns:
            owns[0][0] |= unused
            main -= unused
        shared = set().union(*(self._elsewhere(o) for o in [main, *(o for os in owns for o in os)]))
        modules = [[self._module(own, shared) for own in texts] for texts in owns]
        return self._module(main, shared), modules

    def alone(self) -> list[Module]:
        """Each part as a text of its own, a team's functions as one."""
        team = {x.name for x in self._movable.values() if x.kind == _TEAM and x.name in self.keys}
        owns = [{name} for name in self.keys if name not in team]
        return [self._module(own, own) for own in ([team, *owns] if team else owns)]

    def _calls_parts(self, x: Item) -> bool:
        """Whether it is a part that calls others: it is of use to programs that find these, too."""
        return x.name in self.keys and bool(self._elsewhere({x.name}))

    def _module(self, own: set[str], shared: set[str]) -> Module:
        calls = sorted(self.keys[x] for x in self._elsewhere(own) if x in self.keys)
        keys = sorted(self.keys[x] for x in own) if own <= self.keys.keys() else ()
        return Module(self._text(own, shared), tuple(keys), tuple(calls))

    def _elsewhere(self, own: set[str]) -> set[str]:
        """The functions that these call and are not among them."""
        return self._functions(own) - own

    def _functions(self, own: set[str]) -> set[str]:
        return {x for x in self._needed(own) if x in self._movable or x in self._kernels}

    def _needed(self, begin: set[str], own: set[str] | None = None) -> set[str]:
        """The names of all that is used from these functions on, in a text with the bodies of its
        `own`, which are these if nothing is said.
        """
        own = begin if own is None else own
        found, todo = set[str](), {*begin, ""}
        while todo:
            name = todo.pop()
            found.add(name)
            declared = name in self._begins and name not in own
            todo |= (self._begins if declared else self._uses)[name] - found
        return found

    def _text(self, own: set[str], shared: set[str]) -> str:
        """The text of these functions; others may call the `shared` ones."""
        needed, lines = self._needed(own), []
        for x in self._items:
            if x.name not in needed:
                continue
            if x.kind in (*_PARTS, _STAGE, _KERNEL):
                lines.append(self._function(x, own, shared))
            else:
                lines.append(x.text)
        names = sorted(x for x in needed if x in self.keys)
        text = "".join([*(f"#define {x} {x}_{self.keys[x]}\n" for x in names), *lines])
        longer = ""
        while text != longer:
            text, longer = _EMPTY.sub("", text), text
        return _ASKED.sub(lambda m: m[0] if text.count(m[1]) > 1 else "", text)

    def _function(self, x: Item, own: set[str], shared: set[str]) -> str:
        if x.kind == _KERNEL:
            return x.text
        begin = x.begin.removeprefix(x.kind)
        if x.name not in own:
            cold = f" {_COLD}" if x.kind == _RARE else ""
            return f"extern {_HIDDEN}{cold}{begin};\n"
        if x.kind == _STAGE and x.name not in shared:
            return x.text
        kind = f"{_HIDDEN if x.kind == _STAGE else _WEAK} {self._attributes[x.kind]}"
        return f"{kind}{x.text.removeprefix(x.kind)}"


def _cost(x: Item) -> int:
    return len(x.text) + LOOP * x.text.count("for (")


def read(source: str) -> Text | None:
    """The text, item by item; None where something is not known, or nothing could be dealt."""
    if not any(f"\n{kind} " in source for kind in (_STAGE, *_PARTS)):
        return None
    items, end = [], 0
    while end < len(source):
        m = _ITEM.match(source, end)  # a search would try each character of a long constant
        if m is None:
            return None
        end = m.end()
        if (item := _item(m)) is not None:
            items.append(item)
    return Text(items) if "\\\n" not in source else None


def _item(m: re.Match[str]) -> Item | None:
    text = m[0]
    if m["line"]:
        defined = _DEFINE.match(text)
        return Item(text, defined[1] if defined else "", "", "")
    if m["function"]:
        kind = _RARE if text.startswith(_RARE) else m["kind"]
        return Item(text, m["function"], kind, m["begin"])
    name = m["struct"] or m["type"]
    return Item(text, name, "", "") if name else None


def _words(text: str) -> list[str]:
    return text.encode().translate(_SPLIT).decode().split()
