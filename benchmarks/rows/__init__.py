"""The registry of rows: name -> Row, filled by the modules of this package in the table's order."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

FAMILIES = (
    "elementwise",
    "reduce",
    "dense",
    "nets",
    "loops",
    "tables",
    "buffers",
    "indexing",
    "randoms",
    "small",
    "sweeps",
    "products",
    "convolutions",
)


@dataclass(frozen=True)
class Program:
    """What one library runs: `fn(*args)`; `carry` results replace as many leading arguments."""

    fn: Callable[..., Any]
    args: tuple[Any, ...]
    donate: tuple[int, ...] = ()
    carry: int = 0


@dataclass(frozen=True)
class Row:
    """One workload.

    `build(lib)` makes a Program from a Library. `nbytes` and `flops` are what no implementation
    can avoid: inputs read once, results written once, operations done once. `tolerance` bounds
    the difference of checksums against the largest magnitude. `numpy`: the text also runs with
    NumPy itself. `extra` rows are run by name only, or by the name of their `family`.
    """

    name: str
    what: str
    build: Callable[[Any], Program]
    nbytes: float = 0.0
    flops: float = 0.0
    tolerance: float = 1e-4
    numpy: bool = False
    x64: bool = False
    extra: bool = False

    @property
    def family(self) -> str:
        return self.build.__module__.rpartition(".")[2]


ROWS: dict[str, Row] = {}


def row(name: str, what: str, **facts: Any) -> Callable[[Callable[[Any], Program]], Any]:
    """Registers the decorated build function as a row."""

    def register(build: Callable[[Any], Program]) -> Callable[[Any], Program]:
        if name in ROWS:
            raise ValueError(f"two rows are named {name}")
        ROWS[name] = Row(name, what, build, **facts)
        return build

    return register


def spelled(text: str) -> list[str]:
    """The names in a comma-separated text; a family's name stands for those of its rows."""
    rows = load()
    family = lambda name: [n for n, r in rows.items() if name in FAMILIES and r.family == name]
    return [n for name in text.split(",") for n in (family(name) or [name])]


def load() -> dict[str, Row]:
    """All rows; imports the families on the first call."""
    for family in FAMILIES:
        importlib.import_module(f"{__name__}.{family}")
    return ROWS
