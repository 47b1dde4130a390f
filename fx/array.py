"""Array: an immutable array that lives on the host, on a device, or on both.

It holds a host view (NumPy), a device storage, or both, and makes the missing one when asked; a
result of a jitted call is pending until someone reads it (fx.calls). The only importer of
lowering.runtime. Operators and methods are installed by fx.numpy.
"""

from __future__ import annotations

import importlib
import operator
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import numpy as np

from fx import core
from fx.array_text import array_repr, array_str
from fx.avals import ShapedArray, canonicalize_dtype, is_key, python_scalar_dtype
from fx.conversions import check_truth


@lru_cache(maxsize=4096)
def _aval(shape: tuple[int, ...], dtype: np.dtype, weak: bool) -> ShapedArray:
    return ShapedArray(shape, dtype, weak)


class _ArrayType(type):
    """isinstance(x, Array) holds for tracers too; `type(x) is Array` says that x is concrete."""

    def __instancecheck__(cls, x: object) -> bool:
        return type(x) is cls or isinstance(x, core.Tracer)


class Array(metaclass=_ArrayType):
    """An immutable n-dimensional array. Make one with `fx.numpy.array` and its kin.

    Operators and methods are fx.numpy's functions. `np.asarray(x)` is a read-only view without a
    copy where the device shares the host's memory. It is not hashable; item assignment raises
    TypeError: use `x.at[idx].set(y)`. Reading one that was deleted or donated raises RuntimeError.
    """

    __slots__ = (
        *("__weakref__", "_device", "_event", "_host", "_known", "_lease", "_store", "_weak"),
    )
    __array_priority__ = 100

    def __init__(self, host: np.ndarray, weak: bool = False):
        self._host: Any = host  # a NumPy array that nobody writes any more, or None
        self._weak = weak
        self._store: Any = None  # the device's memory, or None
        self._lease: Any = None  # keeps that memory from being used again, where it does not itself
        self._device: Any = None
        self._event: Any = None  # of the call that computes the storage; None once it is complete
        self._known: Any = None  # the aval, once asked for; always set where there is no host view

    # ------------------------------------------------------------ what it is

    @property
    def aval(self) -> ShapedArray:
        """Shape, dtype and weak type as one ShapedArray, which deleted arrays keep."""
        known = self._known
        if known is None:
            host = self._host
            known = self._known = _aval(host.shape, host.dtype, self._weak)
        return known

    @property
    def shape(self) -> tuple[int, ...]:
        """The sizes of its axes, a tuple of integers."""
        return self._known.shape if self._host is None else self._host.shape

    @property
    def dtype(self) -> np.dtype:
        """The dtype of its elements, a NumPy dtype."""
        return self._known.dtype if self._host is None else self._host.dtype

    @property
    def ndim(self) -> int:
        """The number of axes, an integer."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """The number of elements, an integer."""
        return self.aval.size

    @property
    def itemsize(self) -> int:
        """The size of one element in bytes."""
        return self.dtype.itemsize

    @property
    def nbytes(self) -> int:
        """The size of all elements in bytes: size * itemsize."""
        return self.size * self.dtype.itemsize

    @property
    def weak_type(self) -> bool:
        """Whether it came from Python scalars alone, and so takes the dtype of what it meets."""
        return self._weak

    # ------------------------------------------------------------ where it is

    @property
    def device(self) -> Any:
        """The device it lives on; for an array made on the host, the default device."""
        return default_device() if self._device is None else self._device

    def devices(self) -> set[Any]:
        """The set of its devices: always one, `device`."""
        return {self.device}

    committed = property(
        lambda self: self._device is not None,
        doc="Whether it has storage on a device; else the host alone has it.",
    )
    is_fully_addressable = property(lambda self: True, doc="Whether this process sees all: True.")
    is_fully_replicated = property(lambda self: True, doc="Whether every device has all: True.")

    def addressable_data(self, index: int) -> Array:
        """The piece on the index-th device: the array itself. IndexError for other indices than
        0.
        """
        if index != 0:
            raise IndexError(f"the array lives on one device, there is no shard {index}")
        return self

    def on_device_size_in_bytes(self) -> int:
        """Bytes that it takes on its device: nbytes."""
        return self.nbytes

    def unsafe_buffer_pointer(self) -> int:
        """The address of its elements in the host's memory, where its value is brought first."""
        return self._numpy().ctypes.data

    def is_deleted(self) -> bool:
        """Whether `delete` was called or the array was donated to a jitted function."""
        return self._host is None and self._store is None

    def delete(self) -> None:
        """Let go of the memory now. Reading the array raises RuntimeError from here on; shape and
        dtype stay.
        """
        self.aval  # noqa: B018 (shape and dtype stay known)
        self._host = self._store = self._event = self._lease = None

    def is_ready(self) -> bool:
        """Whether its value is computed: does not wait."""
        event = self._event
        return event is None or event.command_execution_status <= 0

    def block_until_ready(self) -> Array:
        """Wait until its value is computed; returns the array. RuntimeError where it is deleted."""
        if self._event is not None:
            self._wait()
        elif self._host is None and self._store is None:
            raise self._deleted()
        return self

    def copy_to_host_async(self) -> None:
        """Ask that the value come to the host. Where memory is shared there is nothing to do."""
        if self.is_deleted():
            raise self._deleted()

    # ------------------------------------------------------------ its value

    def _numpy(self) -> np.ndarray:
        """The value as NumPy's; for use inside the library, nobody may write to it."""
        host = self._host
        if host is None:
            store = self._store
            if store is None:
                raise self._deleted()
            if self._event is not None:
                self._wait()
            known = self._known
            host = self._device.fetch(store, known.shape, known.dtype, self._lease)
            self._host = host
        return host

    def _wait(self) -> None:
        event = self._event  # another thread may clear it meanwhile
        if event is not None:
            self._device.wait(event)
            self._event = None

    def _deleted(self) -> RuntimeError:
        return RuntimeError(
            f"Array has been deleted with shape={self.aval.str_short()}. It was donated to a "
            "jitted function (donate_argnums) or delete() was called on it."
        )

    def _storage(self, device: Any) -> Any:
        """Its memory as an argument of an executable on `device`; kept for the next call."""
        if self._device is device and self._store is not None:
            return self._store
        store = device.put(self._numpy())
        if self._store is None:
            self._store, self._device = store, device
        return store

    def _numbers(self) -> np.ndarray:
        """The elements as numbers: TypeError for keys, which are none."""
        host = self._numpy()
        if is_key(host.dtype):
            raise TypeError(
                "PRNG keys cannot be converted to numbers; fx.random.key_data(keys) gives their "
                "words."
            )
        return host

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        host = self._numbers()
        if dtype is not None and np.dtype(dtype) != host.dtype:
            if copy is False:
                raise ValueError(f"a copy is needed to convert {host.dtype} to {dtype}")
            return host.astype(dtype)
        if copy:
            return host.copy()
        view = host.view()
        view.flags.writeable = False
        return view

    def item(self, *args: Any) -> Any:
        """The only element (ValueError where there are more), or the one at an index, flat or one
        per axis, as a Python scalar.
        """
        return self._numbers().item(*args)

    def tolist(self) -> Any:
        """Nested lists of Python scalars, of an array without axes the scalar."""
        return self._numbers().tolist()

    def tobytes(self, order: Any = "C") -> bytes:
        """The elements' bytes, row by row unless `order` is "F"."""
        return self._numpy().tobytes(order)

    def __len__(self) -> int:
        shape = self.shape
        if not shape:
            raise TypeError("len() of unsized object")
        return shape[0]

    def __iter__(self) -> Iterator[Array]:
        if not self.shape:
            raise TypeError("iteration over a 0-d array")
        host, weak = self._numpy(), self._weak
        return (Array(np.asarray(host[k, ...]), weak) for k in range(host.shape[0]))

    def __reversed__(self) -> Iterator[Array]:
        return reversed(list(self))

    def __bool__(self) -> bool:
        check_truth(self.shape)
        return bool(self._numbers().reshape(()))

    def _scalar(self) -> Any:
        if self.shape:
            raise TypeError(
                "Only scalar arrays can be converted to Python scalars; "
                f"got arr.ndim={len(self.shape)}"
            )
        return self._numbers().item()

    def __int__(self) -> int:
        return int(self._scalar())

    def __float__(self) -> float:
        return float(self._scalar())

    def __complex__(self) -> complex:
        return complex(self._scalar())

    def __index__(self) -> int:
        if self.shape or self.dtype.kind not in "iu":
            raise TypeError(
                "Only integer scalar arrays can be converted to a scalar index; "
                f"got {self.aval.str_short()}"
            )
        return operator.index(self._numpy().item())

    __hash__ = None  # type: ignore[assignment]

    def __setitem__(self, index: Any, value: Any) -> None:
        raise TypeError(
            f"Arrays are immutable and do not support in-place item assignment; got {type(self)}. "
            "Instead of x[idx] = y, use x = x.at[idx].set(y) or another .at[] method."
        )

    def __delitem__(self, index: Any) -> None:
        raise TypeError("Arrays are immutable: their items cannot be deleted.")

    # ------------------------------------------------------------ text, copies, exchange

    def __repr__(self) -> str:
        if self.is_deleted():
            return f"Array(deleted, shape={self.aval.str_short()})"
        return array_repr(self._numpy(), self._weak)

    def __str__(self) -> str:
        return "Array(deleted)" if self.is_deleted() else array_str(self._numpy())

    def __format__(self, spec: str) -> str:
        host = self._numpy()
        if is_key(host.dtype):
            return format(array_str(host), spec)
        return format(host[()] if not self.shape else host, spec)

    def __reduce__(self) -> Any:
        return from_numpy, (np.array(self._numpy()), self._weak)

    def copy(self) -> Array:
        """An array of the same value with memory of its own."""
        return Array(np.array(self._numpy()), self._weak)

    def __copy__(self) -> Array:
        return self.copy()

    def __deepcopy__(self, memo: Any) -> Array:
        return self.copy()

    def __array_namespace__(self, *, api_version: str | None = None) -> Any:
        """The module of the Python array API: fx.numpy."""
        return importlib.import_module("fx.numpy")

    def __dlpack_device__(self) -> tuple[int, int]:
        return (1, 0)  # kDLCPU: what leaves the library is host memory

    def __dlpack__(self, **options: Any) -> Any:
        """A DLPack capsule of the host view, without a copy; options as in the array API. Read-only
        for consumers whose `max_version` is 1.0 at least: older ones cannot be told.
        """
        options.pop("stream", None)
        host = self._numpy()
        if (options.get("max_version") or (0,))[0] >= 1:
            host = host.view()
            host.flags.writeable = False
        elif not host.flags.writeable:
            host = np.array(host)
        try:
            return host.__dlpack__(**options)
        except TypeError:  # a NumPy without max_version
            return host.__dlpack__()


# ---------------------------------------------------------------- making and reading arrays


def from_numpy(a: np.ndarray, weak: bool = False) -> Array:
    """Wrap a NumPy array that nobody will write to any more, without a copy."""
    return Array(a, weak)


def alias(x: Array) -> Array:
    """Another Array over the same memory: donating or deleting one leaves the other be."""
    if x.is_deleted():
        raise x._deleted()
    out = Array(x._host, x._weak)
    out._store, out._device, out._event, out._known = x._store, x._device, x._event, x._known
    out._lease = x._lease
    return out


def to_numpy(x: Any) -> np.ndarray:
    """Any array value as NumPy's, in its canonical dtype, without a copy where there is none."""
    if type(x) is Array:
        host = x._host
        return host if host is not None else x._numpy()
    dtype = _SCALARS.get(type(x))
    if dtype is not None:
        return np.asarray(x, python_scalar_dtype(type(x)))
    a = readers.get(type(x), np.asarray)(x)
    dtype = canonicalize_dtype(a.dtype)
    return a if a.dtype == dtype else a.astype(dtype)


readers: dict[type, Callable[[Any], np.ndarray]] = {np.ndarray: np.asarray}
"""How values of a type are read as NumPy arrays, where that is not `numpy.asarray`."""
_SCALARS = {bool: True, int: True, float: True, complex: True}


def from_dlpack(x: Any, *, copy: bool | None = None) -> Array:
    """An Array over the memory of a DLPack exporter (PyTorch, CuPy on the host, NumPy, ...).

    Shares memory unless `copy`; the exporter must not be written to while the Array lives. Raises
    TypeError for memory that the host cannot see and for dtypes that NumPy's DLPack lacks.
    """
    if type(x) is Array:
        return x.copy() if copy else x
    kind = x.__dlpack_device__()[0] if hasattr(x, "__dlpack_device__") else 1
    if int(kind) not in (1, 3, 11):  # CPU, CUDA's and ROCm's pinned host memory
        raise TypeError(f"from_dlpack: memory of DLPack device type {kind} is not on the host")
    try:
        a = np.from_dlpack(x)
    except (BufferError, RuntimeError) as e:
        raise TypeError(f"from_dlpack: {type(x).__name__} cannot be imported: {e}") from None
    dtype = canonicalize_dtype(a.dtype)
    if copy is False and a.dtype != dtype:
        raise ValueError(f"from_dlpack: {a.dtype} becomes {dtype}, which copies, but copy=False")
    return Array(np.array(a, dtype) if copy or a.dtype != dtype else a)


# ---------------------------------------------------------------- devices


def runtime() -> Any:
    """The back end's device module, loaded at first use (it is what imports pyopencl)."""
    from lowering.runtime import devices

    return devices


_default: Any = None
_platforms: tuple[str, ...] = ()


class _OfThread(threading.local):
    devices: tuple[Any, ...] = ()  # what `default_device` blocks of this thread name, inmost last


_of_thread = _OfThread()


def default_device() -> Any:
    """Where jitted functions run: what the block names that this thread is in, else what
    set_default_device was told, else FX_DEVICE, else the best device of the first platform of
    `set_platforms` that there is, else the best device.
    """
    chosen = chosen_device()
    return runtime().default_device(_platforms) if chosen is None else chosen


def chosen_device() -> Any:
    """The default device where this thread or the process has chosen one, else None."""
    return _of_thread.devices[-1] if _of_thread.devices else _default


def device_is_open() -> bool:
    """Whether the back end has been loaded, which the first use of a device does."""
    return "lowering.runtime.devices" in sys.modules


@contextmanager
def use_device(device: Any) -> Iterator[None]:
    """This thread's default device inside a block; None: what it is where nothing is said."""
    outside = _of_thread.devices
    _of_thread.devices = (*outside, find_device(device))
    try:
        yield
    finally:
        _of_thread.devices = outside


def set_platforms(names: Sequence[str]) -> None:
    """Kinds of devices or drivers, the one that is wanted first; none: any."""
    global _platforms
    _platforms = tuple(names)


def set_default_device(device: Any) -> Any:
    """Make `device` (a Device, a name as FX_DEVICE takes it, or None) the default; returns it."""
    global _default
    _default = find_device(device) if device is not None else None
    return _default


def find_device(device: Any) -> Any:
    """The Device for a Device or a name."""
    return runtime().device(device) if isinstance(device, str) else device


def list_devices(kind: str | None = None) -> list[Any]:
    """All devices, the process's default first, then the best; or those of one kind or driver,
    RuntimeError where there are none.
    """
    found = runtime().devices()
    if kind is None:
        first = runtime().default_device(_platforms)
        return [first, *(d for d in found if d is not first)]
    if kind == "interpreter":
        return [runtime().interpreter()]
    if chosen := [d for d in found if kind in (d.platform, d.driver)]:
        return chosen
    there = ", ".join(sorted({d.platform for d in found}))
    raise RuntimeError(f"Unknown backend {kind!r}: no such device is present. There are: {there}.")


def put(x: Any, device: Any = None) -> Array:
    """The value on `device` as an Array; what is there already is not copied."""
    device = default_device() if device is None else find_device(device)
    if type(x) is Array:
        if x._device is device and not x.is_deleted():
            return x
        out = Array(x._numpy(), x._weak)
    else:
        out = Array(np.array(to_numpy(x)), type(x) in (int, float, complex))
    if device is not default_device() or not device.shared:
        out._storage(device)
    return out


def set_num_threads(n: int) -> None:
    """Let CPU drivers use `n` threads; only before the first use of a device."""
    from lowering.runtime import drivers

    drivers.set_num_threads(n)


def record_launches() -> list[Any]:
    """Begin to time every launch on the default device; each recorder's `stop()` gives its own."""
    from lowering.runtime.recorder import record

    return record(default_device())


def forget_programs() -> None:
    """Let go of built programs that no compiled function uses."""
    if "lowering.runtime.programs" in sys.modules:
        from lowering.runtime import programs

        programs.forget()


def counters() -> Any:
    """What the run-time counted until now; subtract two to see what happened between them."""
    from lowering.runtime import counters

    return counters.counters()


def reset_counters() -> None:
    """Start the counters again from zero, all but the bytes that are live."""
    from lowering.runtime import counters

    counters.reset()


def bind(program: Any, device: Any) -> Any:
    """A Plan (on the interpreter: a Graph) as an executable on `device`."""
    if device.interpreter:
        from lowering.runtime.interpret import InterpreterExecutable

        return InterpreterExecutable(program)
    from lowering.runtime.direct import bind

    return bind(program, device)


core.register_aval(Array, lambda x: x.aval)
core.set_host(core.Host(to_numpy, from_numpy))

__all__ = [
    "Array",
    "alias",
    "bind",
    "counters",
    "default_device",
    "find_device",
    "from_dlpack",
    "from_numpy",
    "list_devices",
    "put",
    "reset_counters",
    "set_default_device",
    "set_num_threads",
    "to_numpy",
]
