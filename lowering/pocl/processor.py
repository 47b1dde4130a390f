"""Processor: what /proc/cpuinfo says of it, and a name for it where PoCL's LLVM knows none.

PoCL asks LLVM for the processor's name. An LLVM that is older than the processor answers "generic",
which its own front end does not take, so that no kernel can be built. Then it is told the name that
all processors of the kind have; programs say themselves which instructions they are compiled for
(docs/why/target-attributes.md).
"""

from __future__ import annotations

import ctypes
import struct
from functools import cache

from lowering.pocl.patches import addresses, overwrite

NAME = b"_ZN4llvm3sys14getHostCPUNameEv"
"""llvm::sys::getHostCPUName(), which returns a StringRef: an address and a length."""

_UNKNOWN, _COMMON = b"generic", ctypes.create_string_buffer(b"x86-64")
_LAST_FAMILY = {"GenuineIntel": 6, "AuthenticAMD": 25}
"""By makers, the last family that LLVM has had a name for since 2021 (of Intel's it guesses)."""


@cache
def _said() -> dict[str, str]:
    """The words of the first processor in /proc/cpuinfo; none where there is no such file."""
    try:
        with open("/proc/cpuinfo") as f:
            first = f.read().split("\n\n", 1)[0]
    except OSError:
        return {}
    pairs = (line.partition(":") for line in first.split("\n"))
    return {key.strip(): value.strip() for key, _, value in pairs}


def features() -> frozenset[str]:
    """The names of its instructions, as Linux has them; empty where that is not known."""
    said = _said()
    return frozenset((said.get("flags") or said.get("Features", "")).split())


def maker() -> str:
    """Who made it, as in "AuthenticAMD" and "GenuineIntel"; empty where that is not known."""
    return _said().get("vendor_id", "")


def described() -> str:
    """Its name and its widest vectors, as in "AMD EPYC (AVX-512)"; "unknown" where nothing says."""
    widest = {"avx512f": "AVX-512", "avx2": "AVX2", "avx": "AVX", "asimd": "NEON"}
    vectors = next((f" ({name})" for word, name in widest.items() if word in features()), "")
    return _said().get("model name", "unknown") + vectors


def familiar() -> bool:
    """Whether any LLVM that comes with a PoCL has a name for it, or it is none of x86's."""
    family = _said().get("cpu family", "")
    return not family.isdigit() or int(family) <= _LAST_FAMILY.get(maker(), 0)


def compresses_quickly() -> bool:
    """Whether AVX-512 stores compressed vectors to memory quickly, or is not there: AMD's do it in
    some hundred steps up to family 25 (Zen 4).
    """
    family = _said().get("cpu family", "")
    older = maker() == "AuthenticAMD" and family.isdigit() and int(family) <= 25
    return not (older and "avx512f" in features())


class _StringRef(ctypes.Structure):
    _fields_ = (("at", ctypes.c_void_p), ("size", ctypes.c_size_t))


def give_name(path: str) -> bool:
    """Let the LLVM in PoCL's library, the file at `path`, call the processor by a common name, if
    it knows none; before PoCL is asked for its devices. False where it knows one, or nothing can
    be changed.
    """
    places = addresses(path, (NAME,))
    if places is None:
        return False
    found = ctypes.CFUNCTYPE(_StringRef)(places[0])()
    if ctypes.string_at(found.at, found.size) != _UNKNOWN:
        return False
    return overwrite(places[0], _returning(_COMMON))


def _returning(name: ctypes.Array[ctypes.c_char]) -> bytes:
    """x86's code of a function that returns a StringRef: rax = address; edx = length; return."""
    at, size = ctypes.addressof(name), len(name.value)
    return b"\x48\xb8" + struct.pack("<Q", at) + b"\xba" + struct.pack("<I", size) + b"\xc3"
