"""Codegen: modules to object files, by passes that are listed once.

PoCL lists them for each module (`pocl_llvm_codegen`): 0.6 of the 1.2 ms of a program that does
nothing. The passes are made to go over one module after another. Here is the same list, made by the
same functions, which writes to memory that is kept, too.
"""

from __future__ import annotations

import ctypes
import struct
from ctypes import c_bool, c_int, c_size_t, c_void_p
from typing import Any

from lowering.pocl.passes import ADD, MACHINE, TRIPLE, room, triple

_P = c_void_p
_LLVM = "_ZN4llvm"
_LIBRARY = f"{_LLVM}28TargetLibraryInfoWrapperPassC1ERKNS_6TripleE"
_TABLE = "_ZTVN4llvm19raw_svector_ostreamE"
_LIST = (
    f"{_LLVM}17LLVMTargetMachine19addPassesToEmitFileERNS_6legacy15PassManagerBaseE"
    "RNS_17raw_pwrite_streamEPS4_NS_15CodeGenFileTypeEbPNS_28MachineModuleInfoWrapperPassE"
)
CODEGEN: dict[str, tuple[Any, ...]] = {  # result, arguments
    "LLVMCreatePassManager": (_P,),
    "LLVMRunPassManager": (c_int, _P, _P),
    TRIPLE: (None, _P, _P),
    MACHINE: (_P, _P, _P),
    ADD: (None, _P, _P),
    _LIBRARY: (None, _P, _P),
    _TABLE: (None,),
    _LIST: (c_bool, _P, _P, _P, _P, c_int, c_bool, _P),
}
_PASS = 0x148  # bytes of a TargetLibraryInfoWrapperPass
_VECTOR = struct.Struct("<QQQ")  # where its bytes are, how many, for how many there is room
_STREAM = struct.Struct("<Q56xQ")  # its functions; no buffer; the vector
_FUNCTIONS = 16  # where a table of functions begins
_ROOM = 1 << 16  # bytes of a file; LLVM takes more where that is too little
_OBJECT_FILE = 1


class Codegen:
    """The passes for PoCL's device; `call` has the functions of CODEGEN. `able`: there are any."""

    def __init__(self, call: dict[str, Any], device: Any):
        self._run = call["LLVMRunPassManager"]
        self._passes = call["LLVMCreatePassManager"]()
        of = triple(call)
        malloc = ctypes.CDLL(None).malloc
        malloc.restype, malloc.argtypes = c_void_p, (c_size_t,)
        library = malloc(_PASS)  # it is the manager's from now on
        call[_LIBRARY](library, of)
        call[ADD](self._passes, library)
        self._made = room(_VECTOR.size + _ROOM)
        made = ctypes.addressof(self._made)
        _VECTOR.pack_into(self._made, 0, made + _VECTOR.size, 0, _ROOM)
        stream = room(_STREAM.size)
        table = ctypes.cast(call[_TABLE], c_void_p).value or 0
        _STREAM.pack_into(stream, 0, table + _FUNCTIONS, made)
        machine, kind = call[MACHINE](device, of), _OBJECT_FILE
        self.able = not call[_LIST](machine, self._passes, stream, None, kind, True, None)

    def file(self, module: Any) -> bytes:
        """The object file of a module, which is of no use afterwards."""
        self._run(self._passes, module)
        at, size, capacity = _VECTOR.unpack_from(self._made)
        _VECTOR.pack_into(self._made, 0, at, 0, capacity)
        return ctypes.string_at(at, size)
