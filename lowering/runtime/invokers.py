"""Invokers: the Python that pyopencl writes for each new kernel, of which ours need none.

A `pyopencl.Kernel` can be called like a function. The text of that function is generated, compiled
and kept in a database on disk under the kernel's name: 0.5 to 0.9 ms for each program of ours,
whose kernels' names are hashes (lean.py) and whose launches set arguments themselves. So kernels
with such names get none.
"""

from __future__ import annotations

import re
from typing import Any, NoReturn

OWN = re.compile(r"fx\d*_[0-9a-f]{32}")
"""Names of kernels that nobody but this library has: `programs.Built` adds the hash."""


def spare() -> None:
    """From now on, if this pyopencl writes functions at the place that is known."""
    from pyopencl import invoker

    write = getattr(invoker, "generate_enqueue_and_set_args", None)
    if write is None or getattr(write, "spares", False):
        return

    def written(name: str, *args: Any, **options: Any) -> Any:
        return (_none, _none) if OWN.fullmatch(name) else write(name, *args, **options)

    written.spares = True  # type: ignore[attr-defined]
    invoker.generate_enqueue_and_set_args = written


def _none(*_: Any) -> NoReturn:
    raise TypeError("a kernel of fx is launched by its executable, and cannot be called")
