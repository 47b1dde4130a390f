"""Profile: what the compiler needs to know of a device, frozen and free of driver objects.

`runtime.devices` fills it in from the driver and the CPU's feature list; `schedule` reads it; `key`
enters every cache key. Profiles of machines that are not here can be written by hand, for tests.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

INSTRUCTIONS = {
    "sse4_1": ("sse4.1", "__SSE4_1__"),
    "avx": ("avx", "__AVX__"),
    "avx2": ("avx2", ""),
    "fma": ("fma", "__FMA__"),
    "f16c": ("f16c", "__F16C__"),
    "bmi2": ("bmi2", ""),
    "avx512f": ("avx512f", "__AVX512F__"),
    "avx512bw": ("avx512bw", ""),
    "avx512cd": ("avx512cd", ""),
    "avx512dq": ("avx512dq", ""),
    "avx512vl": ("avx512vl", ""),
    "avx512_vnni": ("avx512vnni", ""),
}
"""A processor's feature: clang's name of it, and the macro by which our text asks for it."""


@dataclass(frozen=True)
class Profile:
    """A device as the schedule sees it. Sizes in bytes; `vector_bytes`: one vector register."""

    kind: Literal["cpu", "gpu"]
    driver: str = "pocl"  # pocl, intel, nvidia, amd, apple, ... or the platform's name
    name: str = ""
    vector_bytes: int = 32
    registers: int = 16
    features: frozenset[str] = frozenset()  # of `INSTRUCTIONS`, those that the CPU has
    fp64: bool = True
    fp16: bool = False  # arithmetic; storing float16 works everywhere
    subgroups: bool = False
    host_visible: bool = True  # kernels read the host's arrays in place
    compute_units: int = 2
    max_group: int = 1024  # work-items in a work-group
    local_bytes: int = 32768
    l1_bytes: int = 32768
    l2_bytes: int = 1 << 20
    l3_bytes: int = 8 << 20
    memory_bytes: int = 1 << 32
    max_alloc: int = 1 << 30
    arguments: int = 1 << 16  # pointers and longs that a kernel may take
    align: int = 256  # of a buffer's parts that are arguments themselves
    options: str = ""  # for the driver's compiler, besides a program's own
    host_sorts: bool = True  # NumPy's sort has vector instructions that are quick here
    schedule: Literal["cpu", "gpu"] = "cpu"  # which of the two schedules; FX_SCHEDULE forces one

    def lanes(self, itemsize: int) -> int:
        """Elements of `itemsize` bytes in one vector register: 1, 2, 4, 8 or 16."""
        return max(1, min(16, self.vector_bytes // itemsize))

    def with_(self, **changes: Any) -> Profile:
        """A copy with some fields replaced."""
        return replace(self, **changes)

    @property
    def looks_up(self) -> bool:
        """Whether elementary functions may have tables in registers (`mathlib/tables.py`): the
        compiler has clang's builtins, the processor their instructions for vectors of all sizes.
        """
        return self.driver == "pocl" and {"avx512f", "avx512vl"} <= self.features

    @cached_property
    def key(self) -> str:
        """What a plan made for this device depends on; equal keys may share plans."""
        fields = (
            self.kind,
            self.driver,
            self.vector_bytes,
            self.registers,
            sorted(self.features),
            self.fp64,
            self.fp16,
            self.subgroups,
            self.host_visible,
            self.max_group,
            self.local_bytes,
            self.l1_bytes,
            self.l2_bytes,
            self.l3_bytes,
            self.compute_units,
            self.arguments,
            self.align,
            self.host_sorts,
            self.schedule,
        )
        return repr(fields)


AVX2 = Profile("cpu", name="any CPU with AVX2")
AVX512 = Profile("cpu", name="any CPU with AVX-512", vector_bytes=64, registers=32)
GPU = Profile(
    "gpu",
    driver="any",
    name="any GPU",
    vector_bytes=16,
    registers=128,
    host_visible=False,
    compute_units=64,
    local_bytes=49152,
    arguments=128,
    align=512,
    schedule="gpu",
)
