"""What a row sees of a library: one namespace with the same names for fx, JAX and NumPy.

`open_library(name)` imports the library; nothing else in the benchmarks does.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

LIBRARIES = ("fx", "jax", "numpy", "torch")


@dataclass
class Library:
    """The names rows use, and how arguments go in (`put`) and results are waited for (`wait`)."""

    name: str
    version: str
    np: Any
    lax: Any = None
    nn: Any = None
    random: Any = None
    tree: Any = None
    erf: Any = None
    jit: Callable[..., Any] = lambda f, **_: f
    grad: Any = None
    value_and_grad: Any = None
    vmap: Any = None
    put: Callable[[Any], Any] = lambda tree: tree
    wait: Callable[[Any], Any] = lambda tree: tree
    x64: Callable[[], Any] = contextlib.nullcontext
    module: Any = None


def _functional(name: str) -> Library:
    """fx or JAX: the same names in both."""
    module = importlib.import_module(name)
    part = lambda path: importlib.import_module(f"{name}.{path}")
    tree = part("tree")
    return Library(
        name=name,
        version=getattr(module, "__version__", ""),
        np=part("numpy"),
        lax=part("lax"),
        nn=part("nn"),
        random=part("random"),
        tree=tree,
        erf=part("lax").erf,
        jit=module.jit,
        grad=module.grad,
        value_and_grad=module.value_and_grad,
        vmap=module.vmap,
        put=lambda args: tree.map(module.device_put, args),
        wait=module.block_until_ready,
        x64=lambda: module.enable_x64(True),
        module=module,
    )


def _numpy() -> Library:
    from scipy.special import erf

    return Library(name="numpy", version=np.__version__, np=np, erf=erf)


def _torch() -> Library:
    import torch

    return Library(
        name="torch",
        version=torch.__version__,
        np=None,
        put=lambda args: tuple(torch.from_numpy(np.ascontiguousarray(a)) for a in args),
        module=torch,
    )


def open_library(name: str) -> Library:
    """Imports fx, jax, numpy or torch."""
    if name not in LIBRARIES:
        raise ValueError(f"no library {name!r}; there are {', '.join(LIBRARIES)}")
    if name == "numpy":
        return _numpy()
    return _torch() if name == "torch" else _functional(name)


def leaves(tree: Any) -> list[Any]:
    """The arrays of nested tuples, lists and dictionaries."""
    if isinstance(tree, dict):
        return [x for key in sorted(tree) for x in leaves(tree[key])]
    if isinstance(tree, (tuple, list)):
        return [x for item in tree for x in leaves(item)]
    return [tree]
