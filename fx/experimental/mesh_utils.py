"""Arrangements of devices in meshes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fx.sharding import make_mesh

__all__ = ["create_device_mesh", "create_hybrid_device_mesh"]


def create_device_mesh(
    mesh_shape: Sequence[int], devices: Sequence[Any] | None = None, **options: Any
) -> Any:
    """The devices in an array of `mesh_shape`; ValueError where there are too few."""
    return make_mesh(mesh_shape, tuple(range(len(mesh_shape))), devices=devices).devices


def create_hybrid_device_mesh(
    mesh_shape: Sequence[int],
    dcn_mesh_shape: Sequence[int],
    devices: Sequence[Any] | None = None,
    **options: Any,
) -> Any:
    """The devices of several networks in an array: along each axis the product of both sizes."""
    shape = [inner * outer for inner, outer in zip(mesh_shape, dcn_mesh_shape, strict=True)]
    return create_device_mesh(shape, devices)
