"""Programs by name: a row of the table, or a chain of common steps that a name spells out.

`grad:softmax>T>rows@500x1000` is the gradient of three steps on an array of that shape.
"""

from __future__ import annotations

import random
from typing import Any

import numpy as np

from benchmarks.library import Library
from benchmarks.rows import Program, Row, load
from benchmarks.steps import planes, volumes

PLANES = ((128, 128), (500, 1000), (1000, 500), (64, 4096), (4096, 64), (1024, 1024), (300, 302))
VOLUMES = ((8, 128, 64), (32, 50, 300), (4, 64, 1024), (16, 28, 28, 32), (4, 12, 64, 64))
ENDS: dict[str, Any] = {
    "id": lambda x, t: x,
    "loss": lambda x, t: ((x - t) ** 2).mean(),
    "rows": lambda x, t: (x * t).sum(-1),
    "cols": lambda x, t: x.max(0),
}
GRADIENTS = 0.25  # of the programs


def names(seeds: range, steps: int, solid: bool, only: tuple[str, ...]) -> list[str]:
    """The programs of these seeds; `only`: with one of these steps."""
    able = sorted((volumes if solid else planes)(Library("", "", None)))
    found = []
    for seed in seeds:
        r = random.Random(f"{seed} {steps} {solid}")
        chosen = [r.choice(able) for _ in range(steps)]
        if only and not set(only) & set(chosen):
            chosen[r.randrange(steps)] = r.choice(only)
        end = r.choice(("id", *ENDS))
        shape = "x".join(map(str, r.choice(VOLUMES if solid else PLANES)))
        grad = "grad:" if r.random() < GRADIENTS else ""
        end = "loss" if grad and end == "id" else end  # the sum of a norm's squares has no slope
        found.append(f"{grad}{'>'.join([*chosen, end])}@{shape}")
    return found


def parse(name: str) -> tuple[bool, list[str], tuple[int, ...]]:
    """Whether a named program is a gradient, its steps (the last is how it ends), its shape."""
    text, shape = name.split("@")
    grad = text.startswith("grad:")
    return grad, text.removeprefix("grad:").split(">"), tuple(map(int, shape.split("x")))


def build(lib: Any, name: str) -> Program:
    """The named program of a library, and its arguments: an array and what it is compared with."""
    grad, (*steps, end), shape = parse(name)
    table = (planes if len(shape) == 2 else volumes)(lib)

    def f(x: Any, t: Any) -> Any:
        for step in steps:
            x = table[step](x)
        return ENDS[end](x, t.reshape(x.shape))

    r = np.random.default_rng(0)
    args = tuple(r.standard_normal(shape).astype(np.float32) for _ in range(2))
    return Program(lib.grad(lambda x, t: (f(x, t) ** 2).mean()) if grad else f, args)


def find(name: str) -> Row:
    """The row of a name, or of the chain of steps that a name says."""
    if "@" not in name:
        return load()[name]
    return Row(name, "a chain of steps", lambda lib: build(lib, name), tolerance=1e-3)
