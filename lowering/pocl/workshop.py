"""Workshop: the folder in which a builder works, where PoCL takes half its time for a program.

Our texts use next to nothing of OpenCL's headers, which PoCL reads for each; most kernels call no
library, of which `ld` reads two; and PoCL waits for the disk after each file. So a builder gets
links to PoCL with headers of ours, a linker that tries without libraries first, and a folder in
memory for PoCL's files. Nobody else sees any of this (docs/why/builders.md).
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import tempfile
import time
from pathlib import Path

from lowering.pocl.aside import PARTS, WAIT
from lowering.pocl.headers import headers

MEMORY = "/dev/shm"
PREFIX = "fx-builder-"
LEFT = 600.0
"""Seconds after which the folder of a process that is gone is taken for left behind."""

_LEAVE = "POCL_LEAVE_KERNEL_COMPILER_TEMP_FILES"
"""PoCL's word for texts that stay after a first reading, which lighter.py leaves out."""

_PARTS = ("pocl_binary_distribution/.libs", "share", "pocl", "include")
"""Folders within each other, from the one of all packages to that of the headers."""
_UNCALLED = " ".join(f"--defsym=_local_id_{x}=0" for x in "xyz")
"""What PoCL's own copy of a kernel names, which nothing calls and a builder leaves (lighter.py)."""

_LINKER = """#!/bin/sh
read _ <&{wait}
set -- {uncalled} "$@"
for part in {parts}/*.o; do [ -f "$part" ] && set -- "$@" "$part"; done
(
  for word; do
    shift
    case $word in -l* | -L* | --as-needed | --no-as-needed) ;; *) set -- "$@" "$word" ;; esac
  done
  exec {ld} --no-undefined "$@"
) 2>/dev/null || exec {ld} "$@"
"""


class Workshop:
    """A builder's folder: `pocl` has PoCL's library, `environment` what the process needs."""

    def __init__(self, library: str, kept: str):
        """For PoCL beside the OpenCL library at `library`, whose machine code is in the folder
        `kept`; OSError where no folder can be made.
        """
        place = next(filter(suits, (MEMORY, tempfile.gettempdir())), kept)
        _sweep(place)
        self.folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=place))
        self.files = self.folder / "files"
        self.files.mkdir()
        self.environment = {"POCL_CACHE_DIR": str(self.files), _LEAVE: "1"}
        self.pocl = Path(library).parent
        try:
            self._furnish()
        except OSError:
            self.close()
            raise

    def _furnish(self) -> None:
        site = self.pocl.parent.parent
        texts, old = headers(), site.joinpath(*_PARTS)
        if all((old / name).is_file() for name in texts):
            there, here = site, self.folder
            for part, inner in zip(_PARTS, (*_PARTS[1:], ""), strict=True):
                there, here = there / part, here / part
                _mirror(there, here, leave=inner)
            for name, text in texts.items():
                (here / name).unlink()
                (here / name).write_text(text)
            here = self.folder / self.pocl.relative_to(site)
            _mirror(self.pocl, here)
            self.pocl = here
        ld = shutil.which("ld")
        if ld is not None:
            tools = self.folder / "tools"
            tools.mkdir()
            parts = self.folder / PARTS
            parts.mkdir()
            words = {"ld": shlex.quote(ld), "uncalled": _UNCALLED, "parts": shlex.quote(str(parts))}
            words |= {"wait": str(WAIT)}
            (tools / "ld").write_text(_LINKER.format(**words))
            (tools / "ld").chmod(0o700)
            others = os.environ.get("COMPILER_PATH")
            self.environment["COMPILER_PATH"] = f"{tools}:{others}" if others else str(tools)

    def close(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


def _sweep(place: str) -> None:
    """Remove folders of processes that were killed with their builders."""
    with contextlib.suppress(OSError), os.scandir(place) as entries:
        for entry in entries:
            pid, _, _ = entry.name.removeprefix(PREFIX).partition("-")
            if entry.name.startswith(PREFIX) and pid.isdecimal() and not _alive(int(pid)):
                with contextlib.suppress(FileNotFoundError):  # another process removes it
                    status = entry.stat(follow_symlinks=False)
                    if status.st_uid == os.getuid() and status.st_mtime < time.time() - LEFT:
                        shutil.rmtree(entry.path, ignore_errors=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # another user's
        return True
    return True


def suits(folder: str) -> bool:
    """Whether files can be written there and run: containers have memory where they cannot."""
    try:
        runs = not os.statvfs(folder).f_flag & os.ST_NOEXEC
    except OSError:
        return False
    return runs and os.access(folder, os.W_OK | os.X_OK)


def _mirror(folder: Path, into: Path, leave: str = "") -> None:
    """A folder of links to all that another has."""
    into.mkdir(parents=True)
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name != leave:
                (into / entry.name).symlink_to(entry.path)
