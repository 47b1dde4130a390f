"""Objects: LLVM's bitcode to machine code and several to one, by functions inside PoCL's library.

OpenCL compiles kernels only. What a builder compiles apart (parts.py) has none, so what PoCL itself
calls to make machine code of a module is called, and what LLVM links modules by. So is a
program whose text says how its kernel is launched (lean.py): PoCL would take the kernel apart for
groups of many items, write two functions that launch it, and run its passes over all of that.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Sequence
from ctypes import byref, c_char_p, c_int, c_size_t, c_void_p
from typing import Any

from lowering.pocl.codegen import CODEGEN, Codegen
from lowering.pocl.passes import LAST, last_passes
from lowering.pocl.patches import addresses

_P = c_void_p
_FUNCTIONS: dict[str, tuple[Any, ...]] = {  # result, arguments
    "LLVMContextCreate": (_P,),
    "LLVMContextDispose": (None, _P),
    "LLVMCreateMemoryBufferWithMemoryRangeCopy": (_P, c_char_p, c_size_t, c_char_p),
    "LLVMParseIRInContext": (c_int, _P, _P, _P, _P),
    "LLVMDisposeModule": (None, _P),
    "LLVMLinkModules2": (c_int, _P, _P),
    "LLVMGetNamedFunction": (_P, _P, c_char_p),
    "LLVMDeleteFunction": (None, _P),
    "LLVMSetValueName2": (None, _P, c_char_p, c_size_t),
    "pocl_write_module": (c_int, _P, c_char_p, c_int),
}


def group_of(kernel: str) -> bytes:
    """The name of the function that PoCL calls for each group of a kernel."""
    return f"_pocl_kernel_{kernel}_workgroup".encode()


JOINED = "joined.bc"


class Unable(Exception):
    """What LLVM refuses, or a library that has no such functions."""


class Objects:
    """The functions of the library, a file that is loaded, for a device of PoCL."""

    def __init__(self, path: str, device: Any):
        functions = _FUNCTIONS | LAST | CODEGEN
        places = addresses(path, [name.encode() for name in functions])
        if places is None:
            raise Unable(path)
        self._call = {
            name: ctypes.CFUNCTYPE(*types)(place)
            for (name, types), place in zip(functions.items(), places, strict=True)
        }
        self._device = device
        self._last: Any = None
        self._codegen: Codegen | None = None

    def machine_code(self, code: bytes) -> bytes:
        """The object file of a module."""
        context = self._call["LLVMContextCreate"]()
        try:
            return self._made(self._module(context, code))
        finally:
            self._call["LLVMContextDispose"](context)

    def launched(self, code: bytes, kernel: str, launcher: str) -> bytes:
        """The object file of a program without its kernel: the function `launcher` is what PoCL
        calls for each group of it. The passes are those that PoCL runs over a kernel.
        """
        context = self._call["LLVMContextCreate"]()
        try:
            module = self._module(context, code)
            whole, group = (
                self._call["LLVMGetNamedFunction"](module, name.encode())
                for name in (kernel, launcher)
            )
            if not whole or not group:
                raise Unable("a kernel whose launches are PoCL's")
            self._call["LLVMDeleteFunction"](whole)
            name = group_of(kernel)
            self._call["LLVMSetValueName2"](group, name, len(name))
            if self._last is None:
                self._last = last_passes(self._call, self._device)
            self._call["LLVMRunPassManager"](self._last, module)
            return self._made(module)
        finally:
            self._call["LLVMContextDispose"](context)

    def _made(self, module: Any) -> bytes:
        """The object file of a module, which is then gone."""
        if self._codegen is None:
            self._codegen = Codegen(self._call, self._device)
        if not self._codegen.able:
            raise Unable("no machine code")
        made = self._codegen.file(module)
        self._call["LLVMDisposeModule"](module)
        return made

    def joined(self, codes: Sequence[bytes], folder: str) -> bytes:
        """The bitcode of several modules as one, which is also in `folder`, as JOINED."""
        context = self._call["LLVMContextCreate"]()
        path = os.path.join(folder, JOINED)
        try:
            module = self._module(context, codes[0])
            for code in codes[1:]:
                if self._call["LLVMLinkModules2"](module, self._module(context, code)):
                    raise Unable("modules that do not fit")
            if self._call["pocl_write_module"](module, path.encode(), 0):
                raise Unable("no file could be written")
            self._call["LLVMDisposeModule"](module)
            with open(path, "rb") as file:
                return file.read()
        finally:
            self._call["LLVMContextDispose"](context)

    def _module(self, context: Any, code: bytes) -> Any:
        name = b"part"
        place = self._call["LLVMCreateMemoryBufferWithMemoryRangeCopy"](code, len(code), name)
        module, said = c_void_p(), c_void_p()
        if self._call["LLVMParseIRInContext"](context, place, byref(module), byref(said)):
            raise Unable("no bitcode")
        return module
