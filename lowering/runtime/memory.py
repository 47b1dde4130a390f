"""Memory of a device: storages, the pool they come from, and the two ways to hand them to kernels.

shared    the device reads host memory: a block is 64-byte aligned NumPy memory, a kernel gets its
          pointer, any NumPy array can be passed without a copy (0.2 us to set, no driver object)
explicit  the device has its own memory: a block is an OpenCL buffer
Blocks go back to the pool when the last reference dies, though kernels that read them may be
queued still: the queue is in order, so whatever is enqueued later runs later.
"""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import os
import sys
import weakref
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any

import numpy as np

from lowering.errors import OutOfDeviceMemory
from lowering.runtime import later
from lowering.runtime.counters import counts

ALIGNMENT = 64
KEEP_FREE = 1 << 30
"""Bytes that the pool may keep free, or as much as is live; beyond that it gives memory back."""

AHEAD = 1 << 20, 256 << 20
"""Bytes of a block, and of all that a call takes, between which blocks are made early."""

STEP = 4 << 20
"""Bytes that the system is asked for at once: 1 ms, where no host has to give them first."""
_POPULATE = 23  # Linux's MADV_POPULATE_WRITE


class Storage:
    """A block in use. `arg` is what a kernel argument is set to, `host` its bytes if visible;
    `token` is the same object exactly while `arg` is the same memory, and keeps none alive.

    Whoever makes one has counted its bytes (`taken`); it counts itself out when it dies.
    """

    __slots__ = ("__weakref__", "arg", "block", "token")
    foreign = False
    host = property(lambda self: self.block.host)

    def __init__(self, block: Block):
        self.block = block
        self.arg = block.arg
        self.token = block.token

    def __del__(self) -> None:
        block = self.block
        counts.live_bytes -= block.nbytes
        block.home.append(block)


def taken(nbytes: int) -> None:
    """Count bytes of blocks (their `nbytes`, not what was asked for) that are live from now on."""
    live = counts.live_bytes = counts.live_bytes + nbytes
    if live > counts.peak_bytes:
        counts.peak_bytes = live


class PlainStorage:
    """A NumPy array as a storage of the interpreter device."""

    __slots__ = ("__weakref__", "array")
    foreign = False
    arg = host = None

    def __init__(self, array: np.ndarray):
        self.array = array


class HostStorage:
    """A NumPy array of any origin as a kernel argument of a device that shares the host's memory.

    `foreign`: its memory is not the pool's, so a call holds it until its kernels have run.
    """

    __slots__ = ("__weakref__", "arg", "array", "token")
    foreign = True
    host = None

    def __init__(self, array: np.ndarray):
        from pyopencl import SVM

        self.array = array
        self.token = object()
        if array.nbytes == 0:
            array = np.zeros(ALIGNMENT, np.uint8)
        try:
            self.arg = SVM(array)
        except ValueError:  # pyopencl takes no read-only arrays; the kernel only reads
            memory = (ctypes.c_char * array.nbytes).from_address(array.ctypes.data)
            self.arg = SVM(memory)

    def bytes(self) -> np.ndarray:
        """The array's memory, flat."""
        return self.array.reshape(-1).view(np.uint8)


class Part:
    """A piece of a block at a fixed place: a temporary in the arena, a slice of a stacked array."""

    __slots__ = ("arg", "host", "owner", "token")
    foreign = False

    def __init__(self, arg: Any, host: np.ndarray | None, owner: Any = None):
        self.arg: Any = arg
        self.token = object()
        self.host = host
        self.owner = owner


class Slice:
    """One of several results of a call that stand in one block; `owner` is the block's storage."""

    __slots__ = ("__weakref__", "owner", "part", "token")
    foreign = False
    arg = property(lambda self: self.part.arg)
    host = property(lambda self: self.part.host)

    def __init__(self, part: Part, owner: Storage):
        self.token = part.token
        self.part = part
        self.owner = owner


class Block:
    """Memory owned by the pool: an aligned NumPy array or an OpenCL buffer."""

    __slots__ = ("__weakref__", "arg", "home", "host", "nbytes", "parts", "token", "trays")

    def __init__(self, arg: Any, host: np.ndarray | None, nbytes: int, home: list[Block]):
        self.arg: Any = arg
        self.token = object()
        self.host = host
        self.nbytes = nbytes
        self.home = home
        self.parts: dict[tuple[int, int], Part] = {}
        self.trays: dict[tuple[int, ...], list[Part]] = {}

    def tray(self, sizes: tuple[int, ...]) -> list[Part]:
        """The block cut into parts of these sizes, one after the other; made once."""
        found = self.trays.get(sizes)
        if found is None:
            places = accumulate(map(size_class, sizes), initial=0)
            found = [self.part(at, n) for at, n in zip(places, sizes)]
            self.trays[sizes] = found
        return found

    def part(self, offset: int, nbytes: int) -> Part:
        """The bytes [offset, offset + nbytes) as an argument of their own; made once."""
        found = self.parts.get((offset, nbytes))
        if found is None:
            found = self.parts[offset, nbytes] = part_of(self, offset, nbytes)
            found.owner = None  # the caller holds the block; no cycle
        return found

    def empty(self) -> None:
        """Let go of the memory: frames remember the block that they were bound to last."""
        self.arg = self.host = None
        for part in self.parts.values():
            part.arg = part.host = None
        self.parts.clear()
        self.trays.clear()


def part_of(store: Any, offset: int, nbytes: int) -> Part:
    """A piece of a storage or block. On explicit devices `offset` must be suitably aligned."""
    nbytes = max(nbytes, 1)
    host = host_bytes(store)
    if host is not None:
        from pyopencl import SVM

        piece = host[offset : offset + nbytes]
        if not host.flags.writeable:
            address = host.ctypes.data + offset
            return Part(SVM((ctypes.c_char * nbytes).from_address(address)), piece, store)
        return Part(SVM(piece), piece, store)
    return Part(store.arg.get_sub_region(offset, nbytes), None, store)


def host_bytes(store: Any) -> np.ndarray | None:
    """The bytes of a storage as the host sees them, or None on explicit devices."""
    return store.bytes() if isinstance(store, HostStorage) else store.host


class _Exporter:
    """Lends a storage's bytes to NumPy; the array keeps it, and so the storage, alive."""

    __slots__ = ("__array_interface__", "storage")

    def __init__(self, storage: Any, host: np.ndarray):
        self.storage = storage
        self.__array_interface__ = host.__array_interface__


def host_view(store: Any, shape: tuple[int, ...], dtype: np.dtype, lease: Any = None) -> np.ndarray:
    """The storage's memory as an array without a copy (shared devices); writable: see callers.
    `lease`: what else has to live as long as the array.
    """
    if isinstance(store, HostStorage | PlainStorage):
        array = store.array
        if array.shape == shape and array.dtype == dtype:
            return array
        return array.reshape(-1).view(np.uint8).view(dtype).reshape(shape)
    if 0 in shape or dtype.itemsize == 0:
        return np.empty(shape, dtype)
    return np.ndarray(shape, dtype, np.asarray(_Exporter(lease or store, store.host)))


def pages(host: Any) -> Iterator[int]:
    """Let the system give memory to a block, in steps of so many bytes; its contents stay, so it
    may be in use meanwhile. No step where the system cannot (Linux before 5.14).
    """
    if sys.platform != "linux":
        return
    advise = ctypes.CDLL(None).madvise
    advise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    start, whole = host.ctypes.data, mmap.PAGESIZE
    end = (start + host.nbytes) // whole * whole
    for at in range(-(-start // whole) * whole, end, STEP):
        if advise(at, min(STEP, end - at), _POPULATE):
            return
        yield STEP


def aligned_bytes(size: int) -> np.ndarray:
    """Host memory that begins with a cache line."""
    raw = np.empty(size + ALIGNMENT, np.uint8)
    start = -raw.ctypes.data % ALIGNMENT
    return raw[start : start + size]


def size_class(nbytes: int) -> int:
    """Rounded up to a multiple of 64 and of an eighth of the power of two below it."""
    step = max(ALIGNMENT, 1 << max(0, nbytes.bit_length() - 4))
    return max(ALIGNMENT, -(-nbytes // step) * step)


class Pool:
    """Free blocks by size class. `home(nbytes)` is a list that the hot path pops from."""

    def __init__(self, device: Any):
        self.device = device
        self.free: dict[int, list[Block]] = {}
        self.allocated = 0  # bytes in blocks, free ones too
        self._made: list[weakref.ref[Block]] = []

    def home(self, nbytes: int) -> list[Block]:
        return self.free.setdefault(size_class(nbytes), [])

    def take(self, nbytes: int) -> Storage:
        """A storage of at least `nbytes`, its contents undefined."""
        home = self.home(nbytes)
        try:
            block = home.pop()
        except IndexError:
            block = self.grow(nbytes, home)
        taken(block.nbytes)
        return Storage(block)

    def grow(self, nbytes: int, home: list[Block]) -> Block:
        """A new block for `home`; gives free blocks of other sizes back where memory is short."""
        size = size_class(nbytes)
        limit, live = self.device.profile.memory_bytes, counts.live_bytes
        if self.allocated - live > max(KEEP_FREE, live) or self.allocated + size > limit * 3 // 4:
            self.trim()
        for last_try in (False, True):
            try:
                if self.allocated + size > limit:
                    raise MemoryError
                block = self._allocate(size, home)
                break
            except MemoryError:
                if last_try:
                    raise self._out_of_memory(nbytes) from None
                self.trim()
        counts.alloc_count += 1
        self.allocated += size
        self._made.append(weakref.ref(block))
        return block

    @contextlib.contextmanager
    def ahead(self, takes: Sequence[tuple[list[Block], int]]) -> Iterator[None]:
        """While a program is built, let free blocks be there for its first call, if they are large:
        the system fills each page with zeros when it is first written, 4 ms for 32 MB.
        """
        least, most = AHEAD
        large = [(home, nbytes) for home, nbytes in takes if nbytes >= least]
        built: list[bool] = []
        if large and self.device.shared and sum(n for _, n in takes) <= most:
            later.do(self._grow_ahead, large, built)
        try:
            yield
        finally:
            built.append(True)

    def _grow_ahead(self, takes: Sequence[tuple[list[Block], int]], built: list[bool]) -> None:
        for home, nbytes in takes:
            if built:
                return
            if len(home) < sum(h is home for h, _ in takes):
                with contextlib.suppress(OutOfDeviceMemory):  # the call will say so
                    block = self.grow(nbytes, home)
                    steps = pages(block.host)
                    if next(steps, None) is None:
                        block.host[:: mmap.PAGESIZE] = 0  # type: ignore[index]
                    home.append(block)  # a call that does not wait for the rest may have it
                    while not built and next(steps, None) is not None:
                        pass

    def recount(self) -> None:
        """Count the blocks that there are: one whose way back was cut off by Ctrl-C is gone."""
        known, self._made = self._made, []
        blocks = [block for ref in known if (block := ref()) is not None and block.arg is not None]
        self.allocated = sum(block.nbytes for block in blocks)
        self._made += map(weakref.ref, blocks)

    def trim(self) -> None:
        """Give every free block back to the system, once no queued kernel can touch it."""
        taken: list[Block] = []
        for home in list(self.free.values()):
            while home:
                try:
                    taken.append(home.pop())
                except IndexError:  # another thread took the last one
                    break
        self.device.finish()  # after taking: what is enqueued from now on cannot use them
        for block in taken:
            block.empty()
        self.recount()

    def _allocate(self, size: int, home: list[Block]) -> Block:
        if self.device.shared:
            from pyopencl import SVM

            host = aligned_bytes(size)
            return Block(SVM(host), host, size, home)
        import pyopencl as cl

        try:
            buffer = cl.Buffer(self.device.context, cl.mem_flags.READ_WRITE, size)
        except cl.Error as e:
            raise MemoryError(str(e)) from None
        return Block(buffer, None, size, home)

    def _out_of_memory(self, nbytes: int) -> OutOfDeviceMemory:
        live, free = counts.live_bytes, self.allocated - counts.live_bytes
        profile = self.device.profile
        return OutOfDeviceMemory(
            f"{self.device.name}: {_human(nbytes)} were asked for; {_human(live)} are live in "
            f"arrays and running calls, {_human(max(0, free))} free in the pool, of "
            f"{_human(profile.memory_bytes)} in all (largest buffer {_human(profile.max_alloc)}). "
            "Delete arrays that are not needed, donate arguments (donate_argnums), or use smaller "
            "batches."
        )


def physical_bytes() -> int:
    """The host's memory, as far as this process may use it (a container's limit counts)."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            with open(path) as f:
                text = f.read().strip()
        except OSError:
            continue
        if text.isdigit():
            total = min(total, int(text))
    return total


def _human(nbytes: int) -> str:
    size, units = float(nbytes), ["bytes", "KiB", "MiB", "GiB"]
    while size >= 1024 and len(units) > 1:
        size /= 1024
        units.pop(0)
    return f"{size:.0f} {units[0]}" if units[0] == "bytes" else f"{size:.1f} {units[0]}"
