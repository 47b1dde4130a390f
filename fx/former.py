"""Names that older programs know and this library does not have: what to write instead.

A module's `__getattr__` raises `missing(module, name)`, so that `fx.tree_map` says `fx.tree.map`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

_TREE = ["map", "leaves", "flatten", "unflatten", "structure", "transpose", "all", "reduce"]
_OPENCL = "fx.opencl_call runs an OpenCL kernel of yours in traced code"
_STACK = "stack the values with fx.numpy.stack, and fx.device_put them"
_ORDER = "data orders operations; fx.io_callback(..., ordered=True) orders effects"
_COMPILED = "fx.jit(f).lower(*args).compile() compiles ahead of the first call"

_INSTEAD: dict[str, dict[str, str]] = {
    "fx": {
        **{f"tree_{name}": f"use fx.tree.{name}" for name in _TREE},
        "tree_multimap": "use fx.tree.map",
        "abstract_arrays": "ShapedArray is in fx.core",
        "clear_backends": "use fx.clear_caches",
        "device_put_replicated": _STACK,
        "device_put_sharded": _STACK,
        "export": f"{_COMPILED}; compiled functions are kept on disk, but not given out as files",
        "ffi": f"{_OPENCL}, fx.pure_callback a function of Python",
        "lib": "fx.extend.backend.get_backend() and fx.devices() say what runs",
        "linear_util": "use fx.extend.linear_util",
        "partial": "use functools.partial",
        "soft_pmap": "use fx.vmap",
        "xla_computation": "fx.jit(f).lower(*args) has the lowered function",
    },
    "fx.numpy": {
        "DeviceArray": "use fx.Array",
        "alltrue": "use all",
        "cumproduct": "use cumprod",
        "fix": "use trunc",
        "in1d": "use isin",
        "issubsctype": "use issubdtype",
        "msort": "use sort with axis=0",
        "product": "use prod",
        "round_": "use round",
        "row_stack": "use vstack",
        "sometrue": "use any",
        "trapz": "use trapezoid",
    },
    "fx.lax": {
        "pvary": "use pcast(x, axis_name, to='varying')",
        "tie_in": "use the value itself",
        **dict.fromkeys(("after_all", "create_token"), _ORDER),
        **dict.fromkeys(("precv", "psend"), "use ppermute"),
        "ragged_all_to_all": "use all_to_all of rows padded to one length",
    },
    "fx.random": {
        "KeyArray": "keys are fx.Array, with a dtype of kind fx.dtypes.prng_key",
        "PRNGKeyArray": "keys are fx.Array, with a dtype of kind fx.dtypes.prng_key",
    },
    "fx.ops": {
        "index": "write the index into x.at[...]",
        "index_update": "use x.at[index].set(y)",
        **{
            f"index_{name}": f"use x.at[index].{name}(y)"
            for name in ("add", "divide", "max", "min", "multiply", "power")
        },
        "index_mul": "use x.at[index].multiply(y)",
    },
    "fx.experimental": {
        "PartitionSpec": "use fx.sharding.PartitionSpec",
        "custom_partitioning": "a program runs on one device: leave the function as it is",
        "global_device_array": "use fx.make_array_from_callback",
        "host_callback": "use fx.debug.callback, fx.pure_callback or fx.io_callback",
        "jax2tf": _COMPILED,
        "loops": "use fx.lax.fori_loop, while_loop or scan",
        "maps": "use fx.vmap with axis_name, or fx.shard_map",
        "optimizers": "use fx.optim, or fx.example_libraries.optimizers",
        "pallas": _OPENCL,
        "rnn": "write the cell as the body of fx.lax.scan, which becomes one kernel",
        "serialize_executable": f"{_COMPILED}; it is kept on disk for the next process",
        "stax": "use fx.example_libraries.stax",
    },
}


def missing(module: str, name: str) -> AttributeError:
    """The error for a name that a module does not have, with what to use instead if known."""
    advice = _INSTEAD.get(module, {}).get(name)
    text = f"module {module!r} has no attribute {name!r}"
    return AttributeError(f"{text}: {advice}." if advice else text)


def asked(module: str) -> Callable[[str], Any]:
    """The `__getattr__` of a module all of whose names are there."""

    def __getattr__(name: str) -> Any:
        raise missing(module, name)

    return __getattr__


def of_core(name: str) -> Any:
    """A name of `fx.core` that is in `fx.extend.core`; AttributeError where it is not."""
    if not name.startswith("__"):
        extension = importlib.import_module("fx.extend.core")
        if name in vars(extension):
            return vars(extension)[name]
    raise missing("fx.core", name)
