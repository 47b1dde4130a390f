"""Builders: processes that make machine code, beside this one or in its place.

LLVM inside PoCL works for one thread of a process at a time, so a second core needs a second
process; and a process of our own can have a PoCL that takes half the time (workshop.py). A builder
that fails or dies costs time only: its job is done here (docs/why/builders.md).
"""

from __future__ import annotations

import atexit
import contextlib
import os
import select
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from lowering.plan import SIDE_BY_SIDE
from lowering.pocl import ahead, messages
from lowering.pocl.apart import Apart
from lowering.pocl.workshop import Workshop
from lowering.runtime import drivers

_ROOT = Path(__file__).parents[2]
_SERVE = (
    "import sys; sys.path.append(sys.argv[1]); from lowering.pocl.ahead import serve; "
    "serve(*sys.argv[2:])"
)
TOLD = 0.01
"""Seconds that somebody who asks waits for a thread that tells."""
LONG = 20000
"""Characters of a program that takes longer to build than a builder takes to be ready."""

Early = Callable[[bytes], None] | None
"""Who has a program's bitcode before its machine code is there."""

_lock = threading.Lock()
_builders: list[Builder] = []
_own: list[ahead.Compiler] = []
unlinked: list[str] = []
"""Programs that were built in PoCL's own way, many times slower, since our linker refused them."""


class Builder:
    """A process that answers jobs one after the other."""

    def __init__(self, library: str):
        cache = drivers.pocls_cache()
        self.workshop = Workshop(library, cache)
        command = [sys.executable, "-I", "-S", "-c", _SERVE, str(_ROOT), library]
        command += [str(self.workshop.pocl), str(self.workshop.files), cache]
        pipe = subprocess.PIPE
        kept = {k: v for k, v in os.environ.items() if v != drivers.added.get(k)}
        environment = kept | {"POCL_DEVICES": "basic"} | self.workshop.environment
        try:
            self.process = subprocess.Popen(
                command,
                bufsize=0,
                stdin=pipe,
                stdout=pipe,
                stderr=subprocess.DEVNULL,
                env=environment,
            )
        except OSError:
            self.workshop.close()
            raise
        self._greeted = False
        self._owed = 0  # answers that nobody has read

    def build(self, *job: Any, early: Early = None) -> bytes | None:
        """The bitcode of a job, of which `early` has it while its machine code is made; None where
        it is refused. OSError, EOFError: it is dead, or was stopped, and is dead now.
        """
        code, made = self._ask(early, "whole", *job)
        return None if made is None else code

    def join(self, *job: Any, early: Early = None) -> Any:
        """What `Apart` says: its bitcode and pieces; None where it is refused, and so on."""
        code, made = self._ask(early, "join", *job)
        return None if made is None else (code, made)

    def tell(self, *job: Any) -> None:
        """Ask for something, and let whoever asks next read the answer."""
        messages.send(self.process.stdin, job, self.process.pid)
        self._owed += 1

    def _ask(self, early: Early, *job: Any) -> tuple[bytes, Any]:
        """The job's bitcode, of which `early` has it at once, and the last answer."""
        code = b""
        try:
            messages.send(self.process.stdin, job, self.process.pid)
            owed = self._owed
            self._greet()
            while True:
                what, answer = messages.receive(self.process.stdout, self.process.pid)
                if what == ahead.BITCODE:
                    code = answer
                    if early is not None:
                        early(code)
                elif what == ahead.UNLINKED:
                    unlinked.append(answer)
                elif owed:
                    owed, self._owed = owed - 1, self._owed - 1
                else:
                    return code, answer
        except TimeoutError:
            self.process.kill()
            raise

    def _greet(self) -> None:
        """Wait for its first word, which says that it is ready."""
        if not self._greeted:
            messages.receive(self.process.stdout, self.process.pid)
            self._greeted = True

    @property
    def ready(self) -> bool:
        """Whether it would begin a job now."""
        answers = self.process.stdout
        if not self._greeted and answers and select.select([answers], [], [], 0)[0]:
            with contextlib.suppress(OSError, EOFError, ValueError, TypeError):
                self._greet()
        return self._greeted and self.alive

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            with contextlib.suppress(OSError):  # what was not sent cannot be any more
                pipe.close()  # type: ignore[union-attr]
        self.workshop.close()


@cache
def library() -> str | None:
    """The OpenCL library that pyopencl's wheel brings along."""
    import pyopencl

    found = sorted((Path(pyopencl.__file__).parent / ".libs").glob("libOpenCL*.so*"))
    return str(found[0]) if len(found) == 1 and sys.executable else None


def processes() -> int:
    """How many builders share the builds of one function; 1: there are none, it is built here."""
    if os.environ.get("FX_BUILDERS") == "0" or not hasattr(os, "sched_getaffinity"):
        return 1
    return min(SIDE_BY_SIDE, len(os.sched_getaffinity(0)))


def prepare(count: int = 1) -> None:
    """Start builders, if they are not there: they are ready when the programs are written. One core
    has none.
    """
    path, most = library(), processes()
    if path is None or most == 1 or not _lock.acquire(blocking=False):
        return
    try:
        for b in [b for b in _builders if not b.alive]:
            b.close()
            _builders.remove(b)
        while len(_builders) < min(count, most):
            _builders.append(Builder(path))
    except OSError:  # no more processes for this user: it goes without
        return
    finally:
        _lock.release()


def tell(*job: Any) -> bool:
    """Ask a builder for something that nobody waits for; whether there is one."""
    if not _lock.acquire(blocking=False):
        return False
    try:
        for builder in [b for b in _builders if b.alive][:1]:
            builder.tell(*job)
            return True
    except (OSError, EOFError, TimeoutError):  # it is dead
        pass
    finally:
        _lock.release()
    return False


def share(
    jobs: Sequence[ahead.Job], apart: Apart | None = None, early: Early = None
) -> list[bytes | None]:
    """The bitcode of each job, its machine code being on disk; None where it was refused, and for a
    single one that no builder is ready for. `apart`: how that is built in pieces; `early` has its
    bitcode while its machine code is made, and raises no exception.
    """
    path = library()
    codes: list[bytes | None] = [None] * len(jobs)
    prepare(len(jobs))
    if path is None or not _lock.acquire(timeout=TOLD):
        return codes  # another thread builds
    todo: deque[int] = deque()
    try:
        if len(jobs) == 1:
            codes[0] = _alone(jobs[0], apart, early)
            return codes
        todo.extend(sorted(range(len(jobs)), key=lambda k: len(jobs[k][0])))
        work = jobs, todo, codes
        threads = [
            threading.Thread(target=_work, args=(b, *work), name="fx-builder", daemon=True)
            for b in _builders[: len(jobs)]
        ]
        for t in threads:
            t.start()
        if len(threads) < min(len(jobs), processes()):
            _work(_self(path), *work)
        for t in threads:
            t.join()
        if todo:  # what a dead builder left
            _work(_self(path), *work)
    except (ahead.Refused, OSError):  # no serial device: PoCL was told which devices to offer
        return codes
    except BaseException:  # Ctrl-C: what the builders say next answers jobs that nobody waits for
        todo.clear()
        close()
        raise
    finally:
        _lock.release()
    return codes


def _alone(job: ahead.Job, apart: Apart | None, early: Early) -> bytes | None:
    """A single job: not worth waiting for a builder that begins, if it is short."""
    for builder in [b for b in _builders if b.ready or len(job[0]) >= LONG][:1]:
        with contextlib.suppress(OSError, EOFError, ValueError, TypeError):
            if apart is not None:
                return apart.build(builder, job, early)
            return builder.build(*job, early=early)
    return None


def _self(path: str) -> ahead.Compiler:
    """This process as a builder."""
    if not _own:
        _own.append(ahead.Compiler(path))
        _own[0].unlinked = unlinked
    return _own[0]


def _work(
    builder: Builder | ahead.Compiler,
    jobs: Sequence[ahead.Job],
    todo: deque[int],
    codes: list[bytes | None],
) -> None:
    """Take jobs until none is left, the longest first."""
    while todo:
        try:
            k = todo.pop()
        except IndexError:
            return
        try:
            codes[k] = builder.build(*jobs[k])
        except ahead.Refused:
            continue
        except (OSError, EOFError, ValueError, TypeError):
            todo.append(k)
            return


def _forget() -> None:
    """In a forked child: the builders and what they say belong to the parent."""
    global _lock
    _lock = threading.Lock()
    for b in _builders:
        b.process.returncode = 0
        for pipe in (b.process.stdin, b.process.stdout):
            pipe.close()  # type: ignore[union-attr]
    _builders.clear()
    _own.clear()


@atexit.register
def close() -> None:
    """End the builders."""
    for b in _builders:
        b.close()
    _builders.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
