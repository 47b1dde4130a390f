"""Calls of executables on arrays: what a plan is run with, and what its results are wrapped in.

In: array values in a plan's order, and which of them are given away. Out: Arrays that may be
pending. A call of a signature that is often met goes another way: fx.hot.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from fx.array import Array, readers, runtime
from fx.avals import ShapedArray

COPY_BELOW = 1 << 20
"""Bytes. A caller's NumPy array may change after the call: smaller ones are copied (100 us at
most), larger ones are read in place and the call returns when its kernels have run."""


class Call:
    """An executable (what lowering.compile or `bind` returns) as a function of array values.

    `call(args) -> list[Array]`: asynchronous; args are array values in the plan's input order.
    """

    __slots__ = ("device", "executable", "in_avals", "out_avals")

    def __init__(
        self,
        executable: Any,
        device: Any,
        in_avals: Sequence[ShapedArray],
        out_avals: Sequence[ShapedArray],
    ):
        self.executable = executable
        self.device = device
        self.in_avals = tuple(in_avals)
        self.out_avals = tuple(out_avals)

    def __call__(self, args: Sequence[Any], donated: Collection[int] = ()) -> list[Array]:
        """Run on flat array values; `donated`: positions of Arrays that the caller gives away."""
        device = self.device
        stores: list[Any] = []
        wait = False
        for x in args:
            if type(x) is Array:
                store = x._store
                if store is None or x._device is not device:
                    store = x._storage(device)
            else:
                k = len(stores)
                a, shared = _argument(x, self.in_avals[k].dtype, k in donated)
                wait |= shared
                store = device.put(a)
            stores.append(store)
        reusable: Collection[int] = ()
        leases = None
        if donated:
            leases = [args[k]._lease for k in donated if type(args[k]) is Array]
            store = None  # _release counts references
            reusable = _release(args, stores, donated)
        outs, event = self.executable(stores, reusable)
        del leases
        if wait and event is not None:
            device.wait(event)
            event = None
        made, new = [], Array.__new__
        for store, aval in zip(outs, self.out_avals):
            x = new(Array)
            x._host = None
            x._weak = aval.weak_type
            x._store = store
            x._lease = None
            x._device = device
            x._event = event
            x._known = aval
            made.append(x)
        return made


def _argument(x: Any, dtype: np.dtype, given: bool) -> tuple[np.ndarray, bool]:
    """A NumPy array or scalar as an argument, and whether the caller may still write to it;
    `given`: it may become a result.
    """
    if not isinstance(x, np.ndarray):
        return np.asarray(readers[type(x)](x) if type(x) in readers else x, dtype), False
    if x.dtype != dtype or x.nbytes <= COPY_BELOW or given:
        return np.array(x, dtype, order="C"), False
    return x, True


def _release(args: Sequence[Any], stores: list[Any], donated: Collection[int]) -> set[int]:
    """Delete the donated arrays; gives the positions whose memory nobody else can see.

    A storage is ours alone if only `stores` and this function refer to it: views that the user
    took keep the storage of pool memory, or the NumPy array of host memory, alive.
    """
    for k in donated:
        if type(args[k]) is Array:
            args[k].delete()
    return {k for k in donated if type(args[k]) is Array and _unshared(stores, k)}


def _unshared(stores: list[Any], k: int) -> bool:
    store = stores[k]
    if sys.getrefcount(store) > 3:  # `stores`, the name above, getrefcount's argument
        return False
    if not store.foreign:
        return store.arg is not None
    array = store.array
    owned = array.flags.owndata and array.flags.writeable
    return owned and sys.getrefcount(array) <= _references_of_host_storage()


@lru_cache(maxsize=1)
def _references_of_host_storage() -> int:
    """References to an array that a storage, one name and getrefcount hold; drivers add theirs."""
    store = runtime().HostStorage(np.zeros(16, np.uint8))
    array = store.array
    return sys.getrefcount(array)
