"""Devices as the user sees them: what there is, which is the default, moving values there
and back.
"""

from __future__ import annotations

import gc
import importlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from fx import array, core
from fx.avals import holds_keys
from fx.config import config, on_change
from fx.tree_util import prefix_leaves, tree_flatten, tree_leaves, tree_map


def devices(backend: str | None = None) -> list[Any]:
    """The devices that OpenCL offers, the default first; `backend` selects a kind (cpu, gpu,
    interpreter) or a driver. RuntimeError where it names none.
    """
    return array.list_devices(_KINDS.get(backend, backend))


def local_devices(
    process_index: int | None = None, backend: str | None = None, host_id: int | None = None
) -> list[Any]:
    """The devices of this process, which is the only one: all, as `devices` lists them."""
    return devices(backend)


def device_count(backend: str | None = None) -> int:
    """How many devices there are, of one kind if `backend` names it."""
    return len(devices(backend))


local_device_count = device_count


def default_backend() -> str:
    """The kind of the default device, as FX_DEVICE and JAX name it: cpu, gpu or interpreter."""
    device = array.default_device()
    return "interpreter" if device.interpreter else device.profile.kind


@contextmanager
def default_device(new_val: Any) -> Iterator[None]:
    """Run what this thread does inside the block on `new_val` (a Device or a name as FX_DEVICE
    takes it; None: where it runs when nothing is said).
    """
    device = array.find_device(new_val)
    # the flag is part of what a jitted call is found by
    with array.use_device(device), config.override("default_device", device):
        yield


def _follow_device(value: Any, thread_only: bool) -> None:
    if not thread_only:
        array.set_default_device(value)


def _follow_platforms(value: Any, thread_only: bool) -> None:
    names = (config.platforms or config.platform_name or "").lower().split(",")
    array.set_platforms([_KINDS.get(n.strip(), n.strip()) for n in names if n.strip()])


_KINDS: dict[str | None, str] = {"cuda": "gpu", "rocm": "gpu"}
"""JAX's names of platforms that are kinds here."""

on_change("default_device", _follow_device)
on_change("platforms", _follow_platforms)
on_change("platform_name", _follow_platforms)


def device_put(
    x: Any, device: Any = None, *, src: Any = None, donate: bool = False, may_alias: Any = None
) -> Any:
    """The arrays of a tree on `device` (the default one where None); traced values stay as they
    are.
    """

    places = prefix_leaves(device, x, "device_put device", _is_place, none_is_leaf=True)
    leaves, tree = tree_flatten(x)
    return tree.unflatten(map(_put, leaves, places))


def _is_place(device: Any) -> bool:
    """Whether it is a device, a name or a sharding, and no tree of these."""
    return not isinstance(device, dict | list | tuple)


def _put(leaf: Any, place: Any) -> Any:
    device = place.the_device() if hasattr(place, "the_device") else place
    if isinstance(leaf, core.Tracer):
        return leaf
    core.get_aval(leaf)
    return array.put(leaf, device)


def device_get(x: Any) -> Any:
    """The arrays of a tree as NumPy arrays, computed and copied to the host; a tree like x. Keys
    stay as they are.
    """
    return tree_map(lambda leaf: leaf if holds_keys(leaf) else np.asarray(leaf), x)


def copy_to_host_async(x: Any) -> Any:
    """Ask for the values on the host; they are there when first read."""
    for leaf in tree_leaves(x):
        if hasattr(leaf, "copy_to_host_async"):
            leaf.copy_to_host_async()
    return x


def block_until_ready(x: Any) -> Any:
    """Wait until every array of the tree is computed; returns the tree."""
    if not _wait_for((x,)):
        for leaf in tree_leaves(x):
            if type(leaf) is array.Array:
                leaf.block_until_ready()
    return x


def _wait_for(values: Iterable[Any]) -> bool:
    """Wait for arrays, tuples, lists and dictionaries of them; False where there is more."""
    for x in values:
        kind = type(x)
        if kind is array.Array:
            if x._event is not None or x._store is None:
                x.block_until_ready()  # pending, deleted, or on the host
        elif kind is dict or kind is tuple or kind is list:
            if not _wait_for(x.values() if kind is dict else x):
                return False
        elif x is not None:
            return False
    return True


def effects_barrier() -> None:
    """Wait until all effects (prints, callbacks) of calls so far have happened."""
    device = array.default_device()
    finish = getattr(device, "finish", None)
    if finish is not None:
        finish()


def live_arrays(platform: str | None = None) -> list[Any]:
    """All arrays that something refers to and that hold memory; `platform` has no effect."""
    return [x for x in gc.get_objects() if type(x) is array.Array and not x.is_deleted()]


def _sharding(x: Any) -> Any:
    """How the array is spread over devices: the whole of it on one."""
    return importlib.import_module("fx.sharding").SingleDeviceSharding(x.device)


def _aval_sharding(aval: Any) -> Any:
    """The sharding of a type: no mesh axis splits any dimension."""
    sharding = importlib.import_module("fx.sharding")
    spec = sharding.PartitionSpec(*[None] * aval.ndim)
    return sharding.NamedSharding(sharding.AbstractMesh((), ()), spec)


def _shards(x: Any) -> list[Any]:
    """Its pieces: one, the whole."""
    return [importlib.import_module("fx.sharding").Shard(x.device, x)]


array.Array.sharding = property(_sharding)  # type: ignore[attr-defined]
core.ShapedArray.sharding = property(_aval_sharding)  # type: ignore[attr-defined]
array.Array.addressable_shards = property(_shards)  # type: ignore[attr-defined]
array.Array.global_shards = property(_shards)  # type: ignore[attr-defined]


def __getattr__(name: str) -> Any:
    if name == "Device":
        return array.runtime().Device
    raise AttributeError(f"module 'fx.devices' has no attribute {name!r}")
