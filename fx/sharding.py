"""Meshes, partition specs and shardings under JAX's names, for programs that run on one device.

A mesh of one device is truthful: every axis has size 1, so each sharding places the whole array
there. A mesh of more devices is refused with a clear error where something would run on it.
"""

from __future__ import annotations

import enum
import threading
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import contextmanager
from functools import partial, wraps
from math import prod
from typing import Any

import numpy as np

from fx import array
from fx.tree_util import tree_leaves, tree_map

__all__ = [
    "AbstractDevice",
    "AbstractMesh",
    "AxisType",
    "Mesh",
    "NamedSharding",
    "PartitionSpec",
    "Shard",
    "Sharding",
    "SingleDeviceSharding",
    "auto_axes",
    "explicit_axes",
    "get_abstract_mesh",
    "get_mesh",
    "make_mesh",
    "reshard",
    "set_mesh",
    "use_abstract_mesh",
    "with_sharding_constraint",
]


class AxisType(enum.Enum):
    """Who decides how arrays are laid along a mesh axis: the compiler, types, or the program.

    Taken for programs that name one; with one device there is nothing to decide.
    """

    Auto = "auto"
    Explicit = "explicit"
    Manual = "manual"

    def __repr__(self) -> str:
        return self.name


class _Unconstrained:
    def __repr__(self) -> str:
        return "UNCONSTRAINED"


class PartitionSpec(tuple):
    """For each dimension of an array: the mesh axis (or axes) it is split over, or None.

    >>> PartitionSpec("data", None)
    P('data', None)
    """

    UNCONSTRAINED = _Unconstrained()

    def __new__(cls, *partitions: Any, unreduced: Any = (), reduced: Any = ()) -> PartitionSpec:
        return super().__new__(cls, partitions)

    def __repr__(self) -> str:
        return f"P{tuple.__repr__(self)}"

    def __reduce__(self) -> Any:
        return PartitionSpec, tuple(self)

    def update(
        self, partitions: Any = None, unreduced: Any = None, reduced: Any = None
    ) -> PartitionSpec:
        """A copy with other `partitions`; the rest has no effect."""
        return PartitionSpec(*(self if partitions is None else partitions))

    @property
    def partitions(self) -> tuple[Any, ...]:
        """The entries as a plain tuple, one a dimension: None, an axis name or several."""
        return tuple(self)


P = PartitionSpec


class AbstractDevice:
    """The kind of a device and its number of cores, without the device."""

    def __init__(self, device_kind: str, num_cores: int | None = None):
        self.device_kind, self.num_cores = device_kind, num_cores


class _MeshShape:
    """What concrete and abstract meshes share: named axes with sizes."""

    axis_names: tuple[Any, ...]
    axis_sizes: tuple[int, ...]
    axis_types: tuple[AxisType, ...]

    @property
    def shape(self) -> OrderedDict[Any, int]:
        """Axis name -> size."""
        return OrderedDict(zip(self.axis_names, self.axis_sizes, strict=True))

    shape_tuple = property(lambda self: tuple(self.shape.items()))
    size = property(lambda self: prod(self.axis_sizes))
    empty = property(lambda self: not self.axis_names)
    auto_axes = property(lambda self: self._of_type(AxisType.Auto))
    explicit_axes = property(lambda self: self._of_type(AxisType.Explicit))
    manual_axes = property(lambda self: self._of_type(AxisType.Manual))

    are_all_axes_auto = property(lambda self: self._all_of_type(AxisType.Auto))
    are_all_axes_explicit = property(lambda self: self._all_of_type(AxisType.Explicit))
    are_all_axes_manual = property(lambda self: self._all_of_type(AxisType.Manual))

    def _all_of_type(self, kind: AxisType) -> bool:
        return all(t is kind for t in self.axis_types)

    def _of_type(self, kind: AxisType) -> tuple[Any, ...]:
        return tuple(n for n, t in zip(self.axis_names, self.axis_types, strict=True) if t is kind)


class AbstractMesh(_MeshShape):
    """Named axes and sizes, without devices; hashable, equal by these and the axis types."""

    def __init__(
        self, axis_sizes: Sequence[int], axis_names: Sequence[Any], axis_types: Any = None
    ):
        self.axis_sizes, self.axis_names = tuple(axis_sizes), tuple(axis_names)
        self.axis_types = _axis_types(axis_types, len(self.axis_names))

    def _key(self) -> Any:
        return self.axis_sizes, self.axis_names, self.axis_types

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AbstractMesh) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __repr__(self) -> str:
        axes = ", ".join(f"{n!r}: {s}" for n, s in self.shape.items())
        return f"AbstractMesh({axes})"


def _axis_types(given: Any, count: int) -> tuple[AxisType, ...]:
    if given is None:
        return (AxisType.Auto,) * count
    types = (given,) * count if isinstance(given, AxisType) else tuple(given)
    if len(types) != count:
        raise ValueError(f"a mesh of {count} axes needs as many axis_types, got {types}")
    return types


class Mesh(_MeshShape):
    """Devices in an n-dimensional array with named axes; a context manager.

    >>> import fx
    >>> Mesh(fx.devices()[:1], ("data",)).shape["data"]
    1
    """

    def __init__(self, devices: Any, axis_names: Any, axis_types: Any = None):
        self.devices = np.array(devices, dtype=object)
        names = (axis_names,) if isinstance(axis_names, str) else tuple(axis_names)
        if self.devices.ndim != len(names):
            raise ValueError(
                "Mesh requires the ndim of its first argument (`devices`) to equal the length of "
                f"its second argument (`axis_names`), but got devices.ndim == {self.devices.ndim} "
                f"and len(axis_names) == {len(names)}."
            )
        self.axis_names = names
        self.axis_sizes = self.devices.shape
        self.axis_types = _axis_types(axis_types, len(names))

    device_ids = property(
        lambda self: np.vectorize(lambda d: d.id, [int])(self.devices),
        doc="The numbers of the devices, an integer array of the shape of the mesh.",
    )
    local_mesh = property(lambda self: self, doc="The mesh itself: there is one process.")
    local_devices = property(
        lambda self: list(self.devices.flat), doc="All devices, in row-major order."
    )
    is_multi_process = property(lambda self: False, doc="False: there is one process.")
    abstract_mesh = property(
        lambda self: AbstractMesh(self.axis_sizes, self.axis_names, self.axis_types)
    )

    def __enter__(self) -> Mesh:
        _scope.meshes.append(self)
        return self

    def __exit__(self, *exc: Any) -> None:
        _scope.meshes.pop()

    def _key(self) -> Any:
        return tuple(self.devices.flat), self.axis_sizes, self.axis_names, self.axis_types

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Mesh) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __repr__(self) -> str:
        axes = ", ".join(f"{n!r}: {s}" for n, s in self.shape.items())
        return f"Mesh({axes}, axis_types={self.axis_types})"


class _Scope(threading.local):
    def __init__(self) -> None:
        self.meshes: list[Any] = []


_scope = _Scope()
_EMPTY = Mesh(np.empty((), object), ())


def get_mesh() -> Any:
    """The mesh in scope; an empty one outside any `with mesh:` and without `set_mesh`."""
    return _scope.meshes[-1] if _scope.meshes else _EMPTY


def get_abstract_mesh() -> AbstractMesh:
    """Names and sizes of the mesh in scope, an AbstractMesh; without axes outside any."""
    mesh = get_mesh()
    return mesh if isinstance(mesh, AbstractMesh) else mesh.abstract_mesh


class set_mesh:
    """Make `mesh` current from now on; as a context manager, until the block ends."""

    def __init__(self, mesh: Any):
        self.old = list(_scope.meshes)
        _scope.meshes.append(mesh)

    def __enter__(self) -> set_mesh:
        return self

    def __exit__(self, *exc: Any) -> None:
        _scope.meshes[:] = self.old


@contextmanager
def use_abstract_mesh(mesh: AbstractMesh) -> Any:
    """Make an abstract mesh current inside a block, for this thread."""
    with set_mesh(mesh):
        yield mesh


def make_mesh(
    axis_shapes: Sequence[int],
    axis_names: Sequence[Any],
    axis_types: Any = None,
    *,
    devices: Sequence[Any] | None = None,
) -> Mesh:
    """A mesh of the given shape over the first devices there are.

    Raises ValueError where the shape needs more devices than there are.
    """
    found = list(array.list_devices() if devices is None else devices)
    count = prod(axis_shapes)
    if count > len(found):
        raise ValueError(
            f"Number of devices {len(found)} must be >= the product of mesh_shape "
            f"{tuple(axis_shapes)}"
        )
    grid = np.empty(count, object)
    grid[:] = found[:count]
    return Mesh(grid.reshape(tuple(axis_shapes)), axis_names, axis_types)


# ---------------------------------------------------------------- shardings


class Sharding:
    """How an array is spread over devices; a program runs on one: its piece is the whole."""

    memory_kind: str | None = None

    @property
    def device_set(self) -> set[Any]:
        """The set of its devices; subclasses say which."""
        raise NotImplementedError(f"{type(self).__name__} does not say its devices")

    addressable_devices = property(lambda self: self.device_set, doc="The set of its devices.")
    num_devices = property(lambda self: len(self.device_set), doc="How many devices it spans.")
    is_fully_addressable = property(lambda self: True, doc="True: there is one process.")
    is_fully_replicated = property(
        lambda self: self.num_devices == 1, doc="Whether every device holds the whole."
    )
    has_addressable_devices = property(lambda self: True, doc="True: there is one process.")

    def shard_shape(self, global_shape: Sequence[int]) -> tuple[int, ...]:
        """The shape of one device's piece of an array of `global_shape`."""
        the_device(self)
        return tuple(global_shape)

    def devices_indices_map(self, global_shape: Sequence[int]) -> dict[Any, tuple[slice, ...]]:
        """Device -> the index of its piece, a slice a dimension: all. One device only."""
        return {the_device(self): (slice(None),) * len(global_shape)}

    addressable_devices_indices_map = devices_indices_map

    def is_equivalent_to(self, other: Sharding, ndim: int) -> bool:
        """Whether both place an array of `ndim` axes alike: on the same devices."""
        return self.device_set == other.device_set

    def the_device(self) -> Any:
        """The one device; NotImplementedError where there are several."""
        return the_device(self)

    def with_memory_kind(self, kind: str) -> Sharding:
        """The same sharding, whatever the kind; a device has one memory."""
        return self


class SingleDeviceSharding(Sharding):
    """The whole array on one device; hashable, equal by the device."""

    def __init__(self, device: Any, *, memory_kind: str | None = None):
        self.device, self.memory_kind = device, memory_kind

    device_set = property(lambda self: {self.device}, doc="The set of the one device.")
    spec = property(lambda self: PartitionSpec())
    """No dimension is split: what programs for several devices ask of any array's sharding."""

    @property
    def mesh(self) -> Mesh:
        """The mesh without axes of its device."""
        return Mesh(np.array(self.device, object), ())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SingleDeviceSharding) and self.device == other.device

    def __hash__(self) -> int:
        return hash(self.device)

    def __repr__(self) -> str:
        return f"SingleDeviceSharding(device={self.device!r})"


class NamedSharding(Sharding):
    """Each dimension of an array split over the mesh axes that a PartitionSpec names."""

    def __init__(self, mesh: Any, spec: Any, *, memory_kind: str | None = None):
        self.mesh, self.memory_kind = mesh, memory_kind
        self.spec = spec if isinstance(spec, PartitionSpec) else PartitionSpec(*spec)
        seen: set[Any] = set()
        for part in self.spec:
            for name in part if isinstance(part, tuple | list) else (part,):
                if name is None or name is PartitionSpec.UNCONSTRAINED:
                    continue
                if name not in mesh.axis_names:
                    raise ValueError(
                        f"Resource axis: {name} of {self.spec} is not found in mesh: "
                        f"{mesh.axis_names}."
                    )
                if name in seen:
                    raise ValueError(
                        "A single NamedSharding spec specification can map every mesh axis to at "
                        f"most one positional dimension, but {self.spec} has duplicate entries for "
                        f"`{name}`"
                    )
                seen.add(name)

    def update(self, **changes: Any) -> NamedSharding:
        """A copy with another mesh, spec or memory_kind; ValueError where they do not fit."""
        fields = {"mesh": self.mesh, "spec": self.spec, "memory_kind": self.memory_kind, **changes}
        return NamedSharding(fields["mesh"], fields["spec"], memory_kind=fields["memory_kind"])

    @property
    def device_set(self) -> set[Any]:
        """The set of the mesh's devices; ValueError for an abstract mesh, which has none."""
        if isinstance(self.mesh, AbstractMesh):
            raise ValueError(f"{self} is over an abstract mesh, which names no devices.")
        return set(self.mesh.devices.flat)

    num_devices = property(lambda self: self.mesh.size, doc="How many devices the mesh spans.")

    @property
    def is_fully_replicated(self) -> bool:
        """Whether no dimension is split: the axes that the spec names all have size 1."""
        parts = (p if isinstance(p, tuple | list) else (p,) for p in self.spec)
        return prod(self.mesh.shape.get(name, 1) for part in parts for name in part) == 1

    def __eq__(self, other: object) -> bool:
        return isinstance(other, NamedSharding) and (
            (self.mesh, self.spec) == (other.mesh, other.spec)
        )

    def __hash__(self) -> int:
        return hash((self.mesh, self.spec))

    def __repr__(self) -> str:
        return f"NamedSharding(mesh={self.mesh!r}, spec={self.spec!r})"


class Shard:
    """One device's piece of an array, `data`: the whole, at `index`, with replica_id 0."""

    def __init__(self, device: Any, data: Any):
        self.device, self.data, self.replica_id = device, data, 0
        self.index = (slice(None),) * data.ndim


def the_device(where: Any) -> Any:
    """The one device of a sharding, a device or a mesh; NotImplementedError for several."""
    if isinstance(where, Mesh):
        found = set(where.devices.flat)
    elif isinstance(where, Sharding):
        found = where.device_set
    else:
        return where
    if len(found) != 1:
        raise NotImplementedError(
            f"{where} spans {len(found)} devices, and a program runs on one. Use a mesh of one "
            "device (every axis of size 1), or give one device."
        )
    return next(iter(found))


def check_shardings(shardings: Any) -> None:
    """Raise where one of a tree of shardings spans several devices."""
    kinds = (Sharding, PartitionSpec)
    for leaf in tree_leaves(shardings, is_leaf=lambda s: isinstance(s, kinds)):
        abstract = isinstance(leaf, NamedSharding) and isinstance(leaf.mesh, AbstractMesh)
        if isinstance(leaf, Sharding) and not (abstract and leaf.num_devices == 1):
            the_device(leaf)


def with_sharding_constraint(x: Any, shardings: Any) -> Any:
    """The value as it is: on one device every sharding is the same placement."""
    check_shardings(shardings)
    if isinstance(shardings, PartitionSpec):
        mesh = get_mesh()
        if mesh.empty:
            raise RuntimeError(
                "with_sharding_constraint requires a non-empty mesh if you are passing "
                "`PartitionSpec`s. Use a NamedSharding, or `with mesh:` around the call."
            )
        NamedSharding(mesh, shardings)
    return x


def reshard(xs: Any, out_shardings: Any) -> Any:
    """The arrays of a tree under another sharding of the same device."""
    return with_sharding_constraint(xs, out_shardings)


def auto_axes(f: Any = None, /, *, axes: Any = None, out_sharding: Any = None) -> Any:
    """The function f itself, whose axes the compiler lays out: with one device there is one way."""
    if f is None:
        return partial(auto_axes, axes=axes, out_sharding=out_sharding)

    @wraps(f)
    def inner(*args: Any, **kwargs: Any) -> Any:
        if out_sharding is None and "out_sharding" not in kwargs:
            raise TypeError("Missing required keyword argument: 'out_sharding'")
        where = kwargs.pop("out_sharding", out_sharding)
        return reshard(f(*args, **kwargs), where)

    return inner


def explicit_axes(f: Any = None, /, *, axes: Any = None, in_sharding: Any = None) -> Any:
    """The function f itself, whose axes types lay out: with one device there is one way."""
    if f is None:
        return partial(explicit_axes, axes=axes, in_sharding=in_sharding)

    @wraps(f)
    def inner(*args: Any, **kwargs: Any) -> Any:
        kwargs.pop("in_sharding", None)
        return f(*args, **kwargs)

    return inner


# ---------------------------------------------------------------- arrays from pieces


def _placed(x: Any, sharding: Any) -> Any:
    return tree_map(lambda leaf: array.put(leaf, the_device(sharding)), x)


def make_array_from_callback(
    shape: Sequence[int], sharding: Any, data_callback: Any, dtype: Any = None
) -> Any:
    """An array of `shape` whose piece at an index is `data_callback(index)`."""
    piece = np.asarray(data_callback((slice(None),) * len(shape)), dtype)
    if piece.shape != tuple(shape):
        raise ValueError(f"data_callback gave shape {piece.shape} for an array of {tuple(shape)}")
    return _placed(piece, sharding)


def make_array_from_process_local_data(
    sharding: Any, local_data: Any, global_shape: Any = None
) -> Any:
    """The array that the processes hold in parts; this one holds all of it.

    The result has local_data's shape and dtype, and the sharding given. ValueError where a
    global_shape is another.
    """
    data = np.asarray(local_data)
    if global_shape is not None and tuple(global_shape) != data.shape:
        raise ValueError(f"one process holds the whole array: {data.shape}, not {global_shape}")
    return _placed(data, sharding)


def make_array_from_single_device_arrays(
    shape: Sequence[int], sharding: Any, arrays: Sequence[Any], *, dtype: Any = None
) -> Any:
    """The array of `shape` that is made of one piece a device; here of one piece.

    ValueError where there are more pieces, or that one has another shape.
    """
    if len(arrays) != 1 or tuple(arrays[0].shape) != tuple(shape):
        raise ValueError(
            f"one device holds the whole array of shape {tuple(shape)}, got pieces "
            f"{[tuple(a.shape) for a in arrays]}"
        )
    return _placed(arrays[0], sharding)
