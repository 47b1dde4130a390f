"""Arrangements of devices in meshes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fx.sharding import make_mesh

__all__ = ["create_device_mesh"]


def create_device_mesh(
    mesh_shape: Sequence[int], devices: Sequence[Any] | None = None, **options: Any
) -> Any:
    """The devices in an array of `mesh_shape`; ValueError where there are too few."""
    return make_mesh(mesh_shape, tuple(range(len(mesh_shape))), devices=devices).devices
