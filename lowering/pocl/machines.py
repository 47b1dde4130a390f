"""Machines: in a builder, what LLVM knows of the processor is kept from one text to the next.

Clang makes a TargetMachine for each text, which describes the processor anew for each list of
instructions and width of vectors that functions ask for: 0.2 ms each, 1.2 of the 14 that the front
end takes for `sum`. Here the first one for some options is kept when clang lets go of it, and given
to clang when it asks for another. Nothing else that asks gets it.
"""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import struct
from collections.abc import Iterator

from lowering.pocl.patches import addresses, overwrite

TARGET = b"_ZN4llvm18getTheX86_64TargetEv"
"""getTheX86_64Target(), which has MAKE among its functions."""
MAKE = (
    b"_ZN4llvm21RegisterTargetMachineINS_16X86TargetMachineEE9AllocatorERKNS_6TargetERKNS_6Triple"
    b"ENS_9StringRefES9_RKNS_13TargetOptionsENS_8OptionalINS_5Reloc5ModelEEENSD_INS_9CodeModel5"
    b"ModelEEENS_10CodeGenOpt5LevelEb"
)
"""Allocator(target, ...): a new TargetMachine."""
TABLE = b"_ZTVN4llvm16X86TargetMachineE"
"""The table of a TargetMachine's functions, DELETE the second of them."""
DELETE = b"_ZN4llvm16X86TargetMachineD0Ev"

_BYTES = 256  # of a Target, at least
_SECOND = 16 + 8  # where a table has its second function
_STATE = struct.Struct("<QQQ")  # whether clang works, the machine that is kept, how many were given

# x86: rax = the state; nobody works: go on; a machine is kept: count and return it
_GIVE = (
    b"\x48\xb8%s\x80\x38\x00\x74\x10\x48\x83\x78\x08\x00\x74\x09\x48\xff\x40\x10"
    b"\x48\x8b\x40\x08\xc3"
)
# nobody works: go on; none is kept: keep this one; it is this one: return
_TAKE = (
    b"\x48\xb8%s\x80\x38\x00\x74\x12\x48\x83\x78\x08\x00\x75\x04\x48\x89\x78\x08"
    b"\x48\x39\x78\x08\x75\x01\xc3"
)
_held: list[Machines] = []  # LLVM calls their code from now on
_ON = b"\x48\xb8%s\xff\xe0"  # rax = a function; go there


class Machines:
    """What is kept, by options of the front end."""

    MOST = 8

    def __init__(self, path: str):
        """For PoCL's library, the file at `path`; without effect where anything is different."""
        self._state = ctypes.create_string_buffer(_STATE.size)
        self._kept: dict[bytes, int] = {}
        self.given = 0
        places = addresses(path, (TARGET, MAKE, TABLE, DELETE))
        self.able = places is not None and self._take_over(*places)

    def _take_over(self, target: int, make: int, table: int, delete: int) -> bool:
        there = ctypes.CFUNCTYPE(ctypes.c_void_p)(target)()
        if there is None:
            return False
        at = ctypes.string_at(there, _BYTES).find(_word(make))
        if at < 0 or ctypes.string_at(table + _SECOND, 8) != _word(delete):
            return False
        state = _word(ctypes.addressof(self._state))
        give, take = _GIVE % state + _ON % _word(make), _TAKE % state + _ON % _word(delete)
        try:
            self._code = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE)
        except OSError:
            return False
        self._code.write(give + take)
        place = ctypes.addressof(ctypes.c_char.from_buffer(self._code))
        protect = ctypes.CDLL(None).mprotect
        protect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
        if protect(place, mmap.PAGESIZE, mmap.PROT_READ | mmap.PROT_EXEC):
            return False
        if not overwrite(table + _SECOND, _word(place + len(give))):
            return False
        ctypes.memmove(there + at, _word(place), 8)
        _held.append(self)
        return True

    @contextlib.contextmanager
    def kept(self, options: bytes) -> Iterator[None]:
        """While clang works with these options."""
        if not self.able:
            yield
            return
        if len(self._kept) >= self.MOST:
            self._kept.clear()  # they are small
        _STATE.pack_into(self._state, 0, 1, self._kept.get(options, 0), 0)
        try:
            yield
        finally:
            _, self._kept[options], given = _STATE.unpack(self._state)
            self.given += given
            _STATE.pack_into(self._state, 0, 0, 0, 0)


def _word(number: int) -> bytes:
    return struct.pack("<Q", number)
