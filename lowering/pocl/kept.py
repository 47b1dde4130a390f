"""Machine code that PoCL keeps on disk: whole, or taken away before PoCL loads it.

PoCL loads what stands under a kernel's name, and the process ends or crashes where that is cut off
or damaged. So a file of ours ends in a mark with a checksum, behind what a loader reads. What PoCL
wrote itself gets one when it is first seen, if it is as long as its own tables say.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import zlib
from collections.abc import Iterator

_MARK = b"fx-whole"
_TAIL = len(_MARK) + 4


def files(kernel: str) -> Iterator[tuple[str, str]]:
    """PoCL's variants of a kernel, whose folder this is, and the path of each one's file."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        for variant in os.listdir(kernel):
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                for name in os.listdir(os.path.join(kernel, variant)):
                    if name.endswith(".so"):
                        yield variant, os.path.join(kernel, variant, name)


def only_whole(kernel: str) -> bool:
    """Take away what is damaged of a kernel; whether PoCL may now be asked for it."""
    try:
        for _, path in list(files(kernel)):
            if not _whole(path):
                shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)
    except FileNotFoundError:  # another process was quicker
        return only_whole(kernel)
    except OSError:
        return False
    return True


def place(path: str, to: str) -> None:
    """A file of machine code to another place, marked: whole or not at all."""
    with open(path, "rb") as f:
        _write(to, f.read())


def _whole(path: str) -> bool:
    if not os.path.isfile(path):
        return False
    with open(path, "rb") as f:
        data = f.read()
    if data[-_TAIL:-4] == _MARK:
        return zlib.crc32(data[:-_TAIL]) == int.from_bytes(data[-4:], "little")
    if not _ends_with_its_tables(data):
        return False
    with contextlib.suppress(OSError):  # of use without a mark
        _write(path, data)
    return True


def _write(path: str, data: bytes) -> None:
    half = f"{path}.{os.getpid()}"
    try:
        with open(half, "wb") as f:
            f.write(data + _MARK + zlib.crc32(data).to_bytes(4, "little"))
        os.chmod(half, 0o700)
        os.replace(half, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(half)
        raise


def _ends_with_its_tables(data: bytes) -> bool:
    """Whether this is a library of ELF, whose table of sections, the last thing in it, is there."""
    if data[:5] != b"\x7fELF\x02":
        return False
    start = int.from_bytes(data[40:48], "little")
    each, count = (int.from_bytes(data[k : k + 2], "little") for k in (58, 60))
    return start >= 64 and len(data) == start + each * count
