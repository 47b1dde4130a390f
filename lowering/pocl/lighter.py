"""Lighter: in a builder, PoCL and its LLVM do nothing twice.

PoCL's front end optimises, and before machine code PoCL runs all of -O3 over that, twice. No option
leaves anything out, so each side's function that lists the passes goes on to one that lists fewer:
in the front what simplifies, behind what makes vectors of loops, and that once. The library's
symbol table says where these functions are. And a text is read once; PoCL preprocesses it first,
for a name under which it would keep the program.
"""

from __future__ import annotations

import ctypes
import re
import struct

from lowering.pocl.patches import addresses, overwrite

_FRONT = b"_ZN4llvm11PassBuilder"
_LEVEL = b"ENS_17OptimizationLevelE"
WHOLE = _FRONT + b"29buildPerModuleDefaultPipeline" + _LEVEL + b"b"
"""buildPerModuleDefaultPipeline(level, _): all passes of the front end."""
FIRST = _FRONT + b"34buildThinLTOPreLinkDefaultPipeline" + _LEVEL
"""buildThinLTOPreLinkDefaultPipeline(level): the same without those that `LAST` has too."""

_BUILDER = b"_ZN4llvm18PassManagerBuilder"
ALL = _BUILDER + b"25populateModulePassManagerERNS_6legacy15PassManagerBaseE"
"""populateModulePassManager(passes), which lists all that -O3 is; PoCL calls it twice, clang does
not."""
LAST = _BUILDER + b"15addVectorPassesERNS_6legacy15PassManagerBaseEb"
"""addVectorPasses(passes, whole): to vectors, unrolling, and what tidies up after these."""

COMPILE = b"pocl_llvm_build_program"
ACT = b"_ZN5clang16CompilerInstance13ExecuteActionERNS_14FrontendActionE"
"""COMPILE calls ACT(compiler, action) twice: to preprocess a text to a file, and to compile it."""
_LENGTH = 1 << 14  # bytes of COMPILE, or somewhat more
_CALL, _TRUE = b"\xe8", b"\xb8\x01\0\0\0"  # call a function; a result that is true
_GO = b"\xe9"  # of x86: go to
_TURNS = b"\x48\xb8%s\x80\x30\x01\x74\x01\xc3"  # the byte at a place ^= 1; return if it is one
_JUMP = b"\x31\xd2" + _GO  # no `whole`, which is the third argument; go to
_turn = ctypes.c_uint8()

CHECK = (
    b"_ZN5clang7CodeGen15CodeGenFunction19checkTargetFeatures"
    b"ENS_14SourceLocationEPKNS_12FunctionDeclE"
)
"""Whether a function has the instructions of what it inlines, asked for each call: both sides'
lists are written out anew, 3 of the 41 ms of `grad_chain`. All functions of a text have the same.
"""
_RETURN = b"\xc3"

PARSE = b"LLVMParseCommandLineOptions"
OPTIONS = (b"-instcombine-max-iterations=1",)
"""It would go over each function again until nothing changes, which mostly nothing does."""


def lighten(path: str) -> bool:
    """From now on in this process, let PoCL's library, loaded from the file at `path`, list FIRST
    for WHOLE, nothing and LAST in turns for ALL, and take OPTIONS; False where that cannot be done.
    """
    places = addresses(path, (WHOLE, FIRST, ALL, LAST, PARSE, COMPILE, ACT))
    if places is None:
        return False
    whole, first, every, last, parse, compiles, act = places
    turns = _TURNS % struct.pack("<Q", ctypes.addressof(_turn))
    if not (_divert(whole, _GO, first) and _divert(every, turns + _JUMP, last)):
        return False
    words = (ctypes.c_char_p * (1 + len(OPTIONS)))(b"fx", *OPTIONS)
    take = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p)(parse)
    take(len(words), ctypes.addressof(words), None)
    check = addresses(path, (CHECK,))
    if check is not None:
        overwrite(check[0], _RETURN)
    return _compile_only(compiles, act)


def _compile_only(start: int, act: int) -> bool:
    """Let COMPILE, which begins at `start`, take the first of two actions for done: the file is
    there, and empty. False where there are others.
    """
    code = ctypes.string_at(start, _LENGTH)
    calls = [m.start() for m in re.finditer(_CALL, code)]
    calls = [k for k in calls if code[k : k + 5] == _jump_at(start + k, _CALL, act)]
    if len(calls) == 1:
        return _TRUE in code[: calls[0]]  # as here a moment ago
    return len(calls) == 2 and overwrite(start + calls[0], _TRUE)


def _divert(start: int, jump: bytes, to: int) -> bool:
    """Let the function at `start` begin with a jump to another; False where it may not."""
    return overwrite(start, _jump_at(start, jump, to))


def _jump_at(start: int, jump: bytes, to: int) -> bytes:
    """A jump or call at `start` to another place."""
    return jump + struct.pack("<i", to - (start + len(jump) + 4))
