"""A call of a direct executable as text, for a caller that writes a function around it.

In: an executable, the names of variables that hold its inputs. Out: lines of Python in which every
place, size and name is written out, so that nothing is looped over or looked up; a kernel argument
is set only where it differs from the last call's. Where blocks are missing or the device is busy
the lines give back what they took and do what the caller says `otherwise`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from lowering.runtime.counters import counts
from lowering.runtime.memory import HostStorage, Storage

if TYPE_CHECKING:
    from lowering.runtime.direct import DirectExecutable

FRAME, TRAY, PARTS, ARENA, FIRST = range(5)
"""Places in a frame: its generic form, the blocks it is bound to, then kernels and arguments."""

FRAMES = 3
"""Frames that wait for a call, by the block that they are bound to: `x = f(x)` goes through two
blocks in turn, and sets no argument."""


@dataclass
class Straight:
    """`lines` leave in variables the storages of each of the `results`, and what keeps its memory;
    `names` are what the lines refer to.
    """

    lines: list[str] = field(default_factory=list)
    results: list[tuple[str, str]] = field(default_factory=list)
    names: dict[str, Any] = field(default_factory=dict)


def write(
    executable: DirectExecutable,
    given: Sequence[str],
    numbers: Mapping[int, Any],
    owned: Mapping[int, str],
    otherwise: str,
) -> Straight | None:
    """The text of a call whose inputs are the variables `given`: storages, or, at the keys of
    `numbers`, Python numbers of those dtypes. `owned`: what is true where nobody else can see an
    input's memory, which an output may then take over. None where a call does more than launch.
    """
    e = executable
    taken = [place for place, _ in e._copies]
    if any(place in numbers for place in e._results) or not (e._takes or e._tray or taken):
        return None
    if len(set(taken)) < len(taken) or any(place not in owned for place in taken):
        return None
    return _Writer(e, given, numbers, [owned[place] for place in taken], otherwise).text()


class _Writer:
    def __init__(
        self,
        e: Any,
        given: Sequence[str],
        numbers: Mapping[int, Any],
        owned: Sequence[str],
        otherwise: str,
    ):
        self.e, self.given, self.numbers, self.otherwise = e, given, numbers, otherwise
        self.owned = owned
        self.out = Straight()
        self.frame_size = FIRST
        first = len(given) + len(e._sizes)
        self.blocks = [f"b{j}" for j in range(len(e._takes))]
        self.variables = [*given, *(f"r{len(given) + k}" for k in range(len(e._sizes)))]
        self.variables += [f"r{first + j}" for j in range(len(e._takes))]
        self.variables += [given[int(place)] for place, _ in e._copies]
        kept = {place - first for place in e._results}
        self.temporary = [j for j in range(len(e._takes)) if j not in kept]
        block = "btray" if e._tray else "b0" if e._takes else self.variables[first]
        self.key = f"{block}.token"

    def text(self) -> Straight:
        self._take()
        self._wrap()
        body = [*self._numbers(), *self._launches()]
        if self.temporary:
            freed = [f"home{j}.append(b{j})" for j in self.temporary]
            nbytes = sum(self._class_of(j) for j in self.temporary)
            body = ["try:", *_indented(body), "finally:"]
            body += _indented([f"counts.live_bytes -= {nbytes}", *freed])
        self.out.lines += [
            *body,
            f"frames[{self.key}] = f",
            "counts.calls += 1",
            f"counts.launches += {self.e._launches}",
        ]
        count, parts = len(self.given), len(self.e._sizes)
        for place in self.e._results:
            lease = "owner" if 0 <= place - count < parts else "None"
            self.out.results.append((self.variables[place], lease))
        self._name()
        return self.out

    def _class_of(self, j: int) -> int:
        from lowering.runtime.memory import size_class

        return size_class(self.e._takes[j][1])

    def _take(self) -> None:
        """The blocks, and, when they are ours, the question whether anything is pending; a frame,
        if there is one the one that is bound to the first block.
        """
        add = self.out.lines.extend
        for condition in self.owned:
            add([f"if not ({condition}):", f"  {self.otherwise}"])
        back: list[str] = []
        if self.e._frames[0].looks:
            add(["if long:", f"  {self.otherwise}"])
        homes = ["tray"] if self.e._tray is not None else []
        for name in [*homes, *(str(j) for j in range(len(self.blocks)))]:
            add(["try:", f"  b{name} = home{name}.pop()", "except IndexError:"])
            add(_indented([*back, self.otherwise]))
            back.append(f"home{name}.append(b{name})")
        add(["if device.tail[0] is not None or lane.recorder is not None:"])
        add(_indented([*back, self.otherwise]))
        add([f"held = counts.live_bytes = counts.live_bytes + {self.e._bytes}"])
        add(["if held > counts.peak_bytes:", "  counts.peak_bytes = held"])
        add([f"f = frames.pop({self.key}, None) or any_frame()"])

    def _wrap(self) -> None:
        """Storages around the blocks that hold results."""
        add, count = self.out.lines.extend, len(self.given)
        arena = self.e._arena
        if arena is not None:
            name = self.blocks[arena - count - len(self.e._sizes)]
            add([f"if {name} is not f[{ARENA}]:", f"  f[{FRAME}].bind_arena({name})"])
            add([f"  f[{ARENA}] = {name}"])
        if self.e._tray is not None:
            add([f"if btray is not f[{TRAY}]:", f"  f[{FRAME}].bind_tray(btray, sizes)"])
            add([f"  f[{TRAY}], f[{PARTS}] = btray, btray.tray(sizes)"])
            add(_storage("owner", "btray"))
            parts = self.variables[count : count + len(self.e._sizes)]
            add([f"{', '.join(parts)}, = f[{PARTS}]"])
        for j, block in enumerate(self.blocks):
            if j not in self.temporary:
                add(_storage(self.variables[count + len(self.e._sizes) + j], block))

    def _numbers(self) -> list[str]:
        """Numbers go into cells of the frame, which its kernels are bound to for good."""
        lines = []
        self.cells = {}
        for place in self.numbers:
            self.cells[place] = self.frame_size
            lines.append(f"f[{self.frame_size}][()] = {self.given[place]}")
            self.frame_size += 1
        return lines

    def _launches(self) -> list[str]:
        """Arguments that have changed, and the enqueueing, launch by launch."""
        lines = []
        first = len(self.given) + len(self.e._sizes)
        self.places: list[tuple[int, int]] = []  # of each launch's kernel and setter in a frame
        for i, (_, _, global_size, local_size, moving) in enumerate(self.e._frames[0].launches):
            kernel, setter = self.frame_size, self.frame_size + 1
            self.places.append((kernel, setter))
            self.frame_size += 2
            for k, place in moving:
                if place in self.numbers:
                    continue
                source = self.variables[place]
                if place >= first and place - first in self.temporary:
                    source = self.blocks[place - first]
                at = self.frame_size
                self.frame_size += 1
                lines += [f"if {source}.token is not f[{at}]:"]
                lines += [f"  f[{setter}]({k}, {source}.arg)", f"  f[{at}] = {source}.token"]
            self.out.names |= {f"global{i}": global_size, f"local{i}": local_size}
            lines.append(f"enqueue(queue, f[{kernel}], global{i}, local{i})")
            for n, look in enumerate(self.e._frames[0].looks.get(i, ())):
                seen = f"f[{FRAME}].flags[{i}][{n}][0].host.tobytes()"
                lines += [f"if {seen} != {look.usual!r}:", f"  unusual({look.on})"]
                lines.append(f"  {self.otherwise}")
        return lines

    def _name(self) -> None:
        e, names = self.e, self.out.names
        frames: dict[Any, list[Any]] = {}
        names |= {"frames": frames, "any_frame": self._frame_finder(frames), "counts": counts}
        names |= {"device": e.device, "lane": e.lane, "queue": e.lane.queue, "enqueue": e._enqueue}
        names |= {
            "long": e.long,
            "unusual": e.unusual,
            "new": object.__new__,
            "Storage": Storage,
            "sizes": e._sizes,
        }
        names |= {f"home{j}": home for j, (home, _) in enumerate(e._takes)}
        if e._tray is not None:
            names["hometray"] = e._tray[0]

    def _frame_finder(self, frames: dict[Any, list[Any]]) -> Any:
        new_frame = self._frame_maker()

        def any_frame() -> list[Any]:
            """The frame that was used last, or a new one: few are kept beside those in use."""
            if len(frames) >= FRAMES:
                try:
                    return frames.popitem()[1]
                except KeyError:  # other threads took them
                    pass
            return new_frame()

        return any_frame

    def _frame_maker(self) -> Any:
        e, size, places, cells = self.e, self.frame_size, self.places, self.cells
        numbers = self.numbers

        def new_frame() -> list[Any]:
            frame = e._new_frame()
            f: list[Any] = [None] * size
            f[FRAME] = frame
            stores = {k: HostStorage(np.zeros((), dtype)) for k, dtype in numbers.items()}
            for k, at in cells.items():
                f[at] = stores[k].array
            for (kernel_at, setter_at), launch in zip(places, frame.launches, strict=True):
                f[setter_at], f[kernel_at] = launch[0], launch[1]
                for k, place in launch[4]:
                    if place in stores:
                        launch[0](k, stores[place].arg)
            return f

        return new_frame


def _storage(name: str, block: str) -> list[str]:
    lines = [f"{name} = new(Storage)", f"{name}.block = {block}"]
    return [*lines, f"{name}.arg = {block}.arg", f"{name}.token = {block}.token"]


def _indented(lines: Sequence[str]) -> list[str]:
    return ["  " + line for line in lines]
