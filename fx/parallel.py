"""pmap and shard_map for one device: the same numbers as the maps over many, computed on one.

`pmap` maps like `vmap` with a named axis, compiled; `shard_map` gives the whole array as the one
block. Both say plainly when a program asks for more devices than there are.
"""

from __future__ import annotations

import importlib
import platform
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from fx import core
from fx.devices import devices, local_device_count
from fx.flatten import check_callable, name_of, wraps
from fx.jit import jit
from fx.sharding import Mesh, NamedSharding, PartitionSpec, get_mesh, the_device
from fx.tree_util import prefix_leaves, tree_flatten, tree_leaves, tree_map
from fx.vmap import vmap

__all__ = ["pmap", "shard_map"]


def pmap(
    fun: Callable[..., Any],
    axis_name: Any = None,
    *,
    in_axes: Any = 0,
    out_axes: Any = 0,
    static_broadcasted_argnums: int | Sequence[int] = (),
    devices: Sequence[Any] | None = None,
    backend: str | None = None,
    axis_size: int | None = None,
    donate_argnums: int | Sequence[int] = (),
    global_arg_shapes: Any = None,
) -> Callable[..., Any]:
    """Map `fun` over the leading axis of its arguments, one example a device.

    The mapped axis must not be longer than the number of devices: ValueError says so.
    static_broadcasted_argnums: arguments that are Python values, the same for every device.

    >>> import fx
    >>> pmap(lambda x: x / fx.lax.psum(x, "i"), axis_name="i")(fx.numpy.ones((1, 2)))
    Array([[1., 1.]], dtype=float32)
    """
    check_callable(fun)
    static = _positions(static_broadcasted_argnums)
    axis = object() if axis_name is None else axis_name

    def mapped(*args: Any, **kwargs: Any) -> Any:
        dynamic = [a for k, a in enumerate(args) if k not in static]

        def of_dynamic(*given: Any, **named: Any) -> Any:
            rest = iter(given)
            return fun(*(a if k in static else next(rest) for k, a in enumerate(args)), **named)

        axes = in_axes
        if isinstance(in_axes, tuple | list):
            axes = tuple(a for k, a in enumerate(in_axes) if k not in static)
        return vmap(of_dynamic, axes, out_axes, axis, axis_size)(*dynamic, **kwargs)

    donate = tuple(k for k in _positions(donate_argnums) if k not in static)
    mapped.__name__ = name_of(fun)
    compiled = jit(mapped, static_argnums=static, donate_argnums=donate)
    available = local_device_count() if devices is None else len(devices)

    @wraps(fun)
    def pmap_f(*args: Any, **kwargs: Any) -> Any:
        _check_size(args, kwargs, in_axes, static, axis_size, available)
        return compiled(*args, **kwargs)

    pmap_f.lower = compiled.lower  # type: ignore[attr-defined]
    return pmap_f


def _positions(nums: int | Sequence[int]) -> tuple[int, ...]:
    return (nums,) if isinstance(nums, int) else tuple(nums)


def _check_size(
    args: Any, kwargs: Any, in_axes: Any, static: Any, axis_size: int | None, available: int
) -> None:
    axes = in_axes if isinstance(in_axes, tuple | list) else (in_axes,) * len(args)
    size = axis_size
    for k, (a, axis) in enumerate(zip(args, axes)):
        if k in static or axis is None or size is not None:
            continue
        dims = prefix_leaves(axis, a, "pmap in_axes", none_is_leaf=True)
        for leaf, d in zip(tree_leaves(a), dims):
            if d is not None and core.get_aval(leaf).ndim > d:
                size = core.get_aval(leaf).shape[d]
                break
    if size is None:
        size = next((core.get_aval(x).shape[0] for x in tree_leaves(kwargs)), 1)
    if size > available:
        raise ValueError(
            f"compiling computation that requires {size} logical devices, but only {available} "
            f"devices are available (num_replicas={size}). Use vmap, or an axis of size "
            f"{available}."
        )


# ---------------------------------------------------------------- shard_map


def shard_map(
    f: Callable[..., Any] | None = None,
    /,
    *,
    mesh: Mesh | None = None,
    in_specs: Any = None,
    out_specs: Any = None,
    axis_names: Any = frozenset(),
    check_vma: bool = True,
    check_rep: bool = True,
) -> Any:
    """Map `f` over the blocks of its arguments along the axes of a mesh of one device.

    There is one block, the whole array; psum and its kin see every mesh axis with size 1.
    """
    if f is None:
        return partial(
            shard_map, mesh=mesh, in_specs=in_specs, out_specs=out_specs, axis_names=axis_names
        )
    check_callable(f)

    @wraps(f)
    def sharded(*args: Any) -> Any:
        over = get_mesh() if mesh is None else mesh
        if over.empty:
            raise ValueError("shard_map needs a mesh: give mesh=, or call it inside set_mesh")
        if isinstance(over, Mesh):
            the_device(over)
        elif over.size != 1:
            raise NotImplementedError(f"{over} has {over.size} devices, and a program runs on one")
        _check_specs(in_specs, args, over, "in_specs")
        names = tuple(axis_names) or over.axis_names
        out = _under_axes(f, names)(*args)
        _check_specs(out_specs, out, over, "out_specs")
        return out

    return sharded


def _under_axes(f: Callable[..., Any], names: Sequence[Any]) -> Callable[..., Any]:
    """`f` with each name an axis of size 1 around it."""
    for name in names:
        f = _under_axis(f, name)
    return f


def _under_axis(f: Callable[..., Any], name: Any) -> Callable[..., Any]:
    def under(*args: Any) -> Any:
        batched = vmap(f, in_axes=None, out_axes=0, axis_name=name, axis_size=1)(*args)
        return tree_map(lambda x: x[0], batched)

    return under


def _check_specs(specs: Any, values: Any, mesh: Any, what: str) -> None:
    """Each spec names axes of the mesh and no more dimensions than its value has."""
    if specs is None:
        return
    leaves, _ = tree_flatten(specs, is_leaf=lambda s: isinstance(s, PartitionSpec) or s is None)
    for spec in leaves:
        if spec is not None and not isinstance(spec, PartitionSpec):
            raise TypeError(
                f"shard_map {what} must be a tree of PartitionSpecs, got {type(spec).__name__}"
            )
        if spec is not None:
            NamedSharding(mesh, spec)
    if isinstance(specs, PartitionSpec):
        for leaf in tree_leaves(values):
            if np.ndim(leaf) < len(specs):
                raise ValueError(
                    f"shard_map {what}: {specs} has {len(specs)} entries, but a value has "
                    f"shape {np.shape(leaf)}"
                )


# ---------------------------------------------------------------- processes


def process_index(backend: str | None = None) -> int:
    """The number of this process among those that run the program together.

    Always 0: there is one. `backend` is taken for programs that name one.
    """
    return 0


def process_count(backend: str | None = None) -> int:
    """How many processes run the program together.

    Always 1, so that programs that divide their data by it keep all of it.
    """
    return 1


def process_indices(backend: str | None = None) -> list[int]:
    """The numbers of all processes that run the program together, as a list of int.

    Always [0].
    """
    return [0]


host_id, host_count, host_ids = process_index, process_count, process_indices


def print_environment_info(return_string: bool = False) -> str | None:
    """Print versions and devices, for reports of errors; with return_string, return the text."""
    fx = importlib.import_module("fx")
    lines = [
        f"fx:      {fx.__version__}",
        f"numpy:   {np.__version__}",
        f"python:  {sys.version}",
        f"devices: {', '.join(map(str, devices()))}",
        f"process_count: {process_count()}",
        f"platform: {platform.platform()}",
    ]
    text = "\n".join(lines)
    if return_string:
        return text
    print(text)
    return None
