"""Passes: the passes of `lighter.LAST` as a manager of our own, for modules that have no kernel.

PoCL's manager, which has them too, asks each module for the kernel it is made for. Here is what it
consists of besides PoCL's own passes, made in the same order by the same functions: what LLVM knows
of the processor, that there is no library, the passes.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from ctypes import c_int, c_uint, c_void_p
from typing import Any

from lowering.pocl import lighter

_P = c_void_p
_LLVM = "_ZN4llvm"
TRIPLE = f"{_LLVM}6TripleC1ERKNS_5TwineE"
MACHINE = "_ZL16GetTargetMachineP13_cl_device_idRN4llvm6TripleE"
_KNOWS = f"{_LLVM}13TargetMachine19getTargetIRAnalysisEv"
_AS_PASS = f"{_LLVM}36createTargetTransformInfoWrapperPassENS_16TargetIRAnalysisE"
ADD = f"{_LLVM}6legacy11PassManager3addEPNS_4PassE"
_LIBRARY = f"{_LLVM}21TargetLibraryInfoImplC1ERKNS_6TripleE"
_HAS_NOTHING = f"{_LLVM}21TargetLibraryInfoImpl19disableAllFunctionsEv"
_VECTORS = lighter.LAST.decode()

LAST: dict[str, tuple[Any, ...]] = {  # result, arguments
    "LLVMCreatePassManager": (_P,),
    "LLVMPassManagerBuilderCreate": (_P,),
    "LLVMPassManagerBuilderSetOptLevel": (None, _P, c_uint),
    "LLVMAddTargetLibraryInfo": (None, _P, _P),
    TRIPLE: (None, _P, _P),
    MACHINE: (_P, _P, _P),
    _KNOWS: (_P, _P, _P),
    _AS_PASS: (_P, _P),
    ADD: (None, _P, _P),
    _LIBRARY: (None, _P, _P),
    _HAS_NOTHING: (None, _P),
    _VECTORS: (None, _P, _P, c_int),
}

_held: list[Any] = []
"""What objects of LLVM refer to: a builder has one manager, and keeps it."""
_VECTORIZERS = 0x2A
"""Where the two bytes of a PassManagerBuilder are that say whether vectors are made."""


def last_passes(call: dict[str, Callable[..., Any]], device: Any) -> int:
    """A pass manager for PoCL's device; `call` has the functions of `LAST`."""
    of, knows, library = triple(call), room(128), room(4096)
    manager = call["LLVMCreatePassManager"]()
    call[_KNOWS](knows, call[MACHINE](device, of))
    call[ADD](manager, call[_AS_PASS](knows))
    call[_LIBRARY](library, of)
    call[_HAS_NOTHING](library)
    call["LLVMAddTargetLibraryInfo"](library, manager)
    builder = call["LLVMPassManagerBuilderCreate"]()
    call["LLVMPassManagerBuilderSetOptLevel"](builder, 3)
    ctypes.memset(builder + _VECTORIZERS, 1, 2)
    call[_VECTORS](builder, manager, 0)
    return manager


def triple(call: dict[str, Callable[..., Any]]) -> Any:
    """LLVM's Triple of PoCL's device."""
    made = room(128)
    call[TRIPLE](made, _twine(b"x86_64-unknown-linux-gnu"))
    return made


def room(size: int) -> Any:
    """Zeros for an object of LLVM, more than it has bytes."""
    _held.append(ctypes.create_string_buffer(size))
    return _held[-1]


def _twine(text: bytes) -> Any:
    """LLVM's Twine of a text: two parts of 16 bytes and their kinds, a text and nothing."""
    held = ctypes.create_string_buffer(text)
    _held.append(held)
    _held.append((ctypes.c_uint64 * 5)(ctypes.addressof(held), 0, 0, 0, 3 | 1 << 8))
    return _held[-1]
