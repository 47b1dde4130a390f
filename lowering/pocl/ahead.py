"""Ahead: kernels to PoCL's machine code before they are needed, here or in a process of its own.

PoCL makes the machine code of a kernel when the kernel is enqueued, and keeps it on disk. Ours are
switches over their first argument, so they are enqueued for a stage that they do not have.
`serve` does so in a process of its own, for jobs that it reads (marshal) from standard input: what
is imported here is quick to import.
"""

from __future__ import annotations

import contextlib
import ctypes
import marshal
import os
import select
import shutil
import signal
import struct
import sys
from collections.abc import Callable, Sequence
from ctypes import byref, c_char_p, c_int, c_size_t, c_uint, c_ulong, c_void_p
from typing import Any

from lowering.pocl import aside, kept, lighter, linking, objects, processor
from lowering.pocl.aside import BEGIN, JOIN, MAKE, PARTS, Piece, Texts
from lowering.pocl.machines import Machines
from lowering.pocl.shelf import Shelf
from lowering.pocl.twin import Twin

IDLE = 60.0
"""Seconds without a job after which a process of its own ends."""

SERIAL = ("basic", "cpu-minimal")
"""PoCL's names of the device that runs kernels in the thread that enqueues them: until PoCL 3, and
since PoCL 4."""

REHEARSED = 12000
"""Characters of a text that a process and its twin build once more, at most: 20 ms."""

Job = tuple[str, str, str, tuple[tuple[str, int, int], ...]]
"""Source, options of the front end, options of the build, (kernel, global size, local size)."""

NO_STAGE = -1
AGAIN = "again"

LAUNCHER = "fx_launch"
"""The function of a text that PoCL could call for each group of its kernel, if there is one."""

SMALL_GRID = (1 << 16) - 1
"""Groups from which PoCL makes other machine code of a kernel."""

VARIANTS = "1-1-1-goffs0", "1-1-1-goffs0-smallgrid"
"""PoCL's folders of machine code for groups of one item, of which there are many, or few."""

RESTS = 0.01
"""Seconds without a job after which a process of its own gets its twin."""

SHELF = "shelf"
"""Beside the folder of PoCL's files, that of a process which works while nobody waits."""

BITCODE, UNLINKED, DONE = "bitcode", "unlinked", "done"
"""The first words of answers: a job may have one with bitcode, and has one at the end; before that
it may have some with what the linker refused."""

_MAGIC = b"BC\xc0\xde"
_ALL_DEVICES = 0xFFFFFFFF
_PLATFORM_NAME, _DEVICE_NAME = 0x0902, 0x102B
_BINARY_SIZES, _BINARIES = 0x1165, 0x1166
_NUM_ARGS = 0x1191


class Refused(Exception):
    """A call that PoCL answers with an error."""


def _nothing(_: bytes) -> None:
    """What is told to nobody."""


def bitcode_of(packed: bytes) -> bytes | None:
    """LLVM's bitcode inside what PoCL gives as a program's binary."""
    start = packed.find(_MAGIC)
    size = int.from_bytes(packed[start - 4 : start], "little")
    whole = start > 4 and start + size <= len(packed)
    return packed[start : start + size] if whole else None


class Compiler:
    """PoCL's serial device, by the C interface of the OpenCL library at `path`: unlike pyopencl's,
    these calls let other Python threads run.
    """

    def __init__(self, path: str, folder: str = ""):
        """`folder`: where PoCL's library is, if not beside the one at `path`."""
        folder, self.pocl = folder or os.path.dirname(path), ""
        for name in os.listdir(folder):
            if name.startswith("libpocl"):  # which the library asks for by its name alone
                self.pocl = os.path.join(folder, name)
                ctypes.CDLL(self.pocl)
                if not processor.familiar():
                    processor.give_name(self.pocl)
        self._cl, self._objects, self._texts = ctypes.CDLL(path), None, 0
        self.twin: Twin | None = None
        self.unlinked: list[str] = []  # what the linker refused, and `ld` was asked for
        self.shelf = Shelf()
        self._machines: Machines | None = None
        self._latest: tuple[str, str, str] | None = None  # source, options, kernel
        self._device = c_void_p(self._find())
        self._context = self._made("clCreateContext", None, 1, byref(self._device), None, None)
        self._queue = self._made("clCreateCommandQueue", self._context, self._device, c_ulong(0))

    def build(
        self,
        source: str,
        front: str,
        back: str,
        launches: Any,
        files: str = "",
        early: Callable[[bytes], None] = _nothing,
    ) -> bytes:
        """The program's bitcode, when the machine code of its launches is on disk: in the folder
        `files` of a workshop, or where PoCL puts it. `early` has it before.
        """
        code = self._bitcode(source.encode(), front.encode())
        early(code)
        if not (files and self._launched(code, launches, files)):
            self._machine_code(code, back.encode(), launches)
        elif launches and len(source) <= REHEARSED:
            self._latest = source, front, launches[0][0]
        return code

    def piece(self, source: str, options: str) -> Piece:
        """Functions without a kernel."""
        code = self._code(source, options)
        return code, self.objects.machine_code(code)

    def _code(self, source: str, options: str) -> bytes:
        return self._bitcode(source.encode(), options.encode())

    def join(
        self,
        job: Job,
        known: Sequence[Piece],
        others: Sequence[Texts],
        files: str,
        early: Callable[[bytes], None],
    ) -> list[Piece]:
        """The pieces that are made for a program of each of the other texts, list by list in a
        process of its own, when the machine code of its launches is in the folder `files`; `early`
        has the bitcode of all of it. The workshop's linker takes object files along.
        """
        folder = os.path.join(os.path.dirname(files), PARTS)
        source, front, back, launches = job
        told: list[bytes] = []

        def tell() -> None:
            if not told:
                with open(os.path.join(folder, objects.JOINED), "rb") as file:
                    told.append(file.read())
                early(told[0])

        with aside.Pieces(folder, known, self.twin) as pieces:
            pieces.start(self.piece, others)
            code = self._bitcode(source.encode(), front.encode())
            pieces.begin_to_join(code, self._join)
            if not self._launched(code, launches, files, lambda: (*known, *pieces.made(tell))):
                pieces.made()
                self._machine_code(code, back.encode(), launches)
            elif len(source) <= REHEARSED:
                self._latest = source, front, launches[0][0]
            new = pieces.made()
            pieces.join(self._join)
            tell()
            return new

    def _join(self, folder: str, count: int) -> None:
        self.objects.joined(aside.codes(folder, count), folder)

    def double(self, others: Sequence[int], wanted: Callable[[], Any]) -> None:
        """Get a twin, once, if there is something that both can build once more; this one as long
        as it is not wanted.
        """
        if self._latest is None or self.twin is not None:
            return
        with contextlib.suppress(OSError):  # no more processes for this user: it goes without
            self.twin = Twin(self._beside, others)
            self.twin.tell(AGAIN, *self._latest)
            self._again(*self._latest, wanted)

    def _beside(self, what: str, *words: Any) -> None:
        """What a twin is told."""
        if what == BEGIN:
            aside.begin_all(self._code, *words)
        elif what == MAKE:
            aside.end_all(self.objects.machine_code, *words)
        elif what == JOIN:
            if aside.claims(words[0]):
                self._join(*words)
        else:
            self._again(*words, wanted=lambda: False)

    def _again(self, source: str, options: str, kernel: str, wanted: Callable[[], Any]) -> None:
        """Build a program for nothing but pages of its own memory."""
        with contextlib.suppress(Refused, objects.Unable):
            code = None if wanted() else self._bitcode(source.encode(), options.encode())
            if code is not None and not wanted():
                self.objects.launched(code, kernel, LAUNCHER)

    def _launched(
        self, code: bytes, launches: Any, files: str, others: Callable[[], Any] = tuple
    ) -> bool:
        """Make machine code as PoCL does, but of a text's launcher and what `others` have; False
        where that cannot be done: then PoCL may.
        """
        kernels = {name for name, *_ in launches}
        if len(kernels) != 1 or any(local != 1 for *_, local in launches):
            return False
        (kernel,) = kernels
        try:
            made = [self.objects.launched(code, kernel, LAUNCHER)]
            made += [file for _, file in others()]
            library = linking.link(made, objects.group_of(kernel))
        except objects.Unable:
            return False
        except (linking.Unlinkable, struct.error) as why:
            self.unlinked.append(f"{kernel}: {why}")
            return False
        for _, size, _ in launches:
            folder = os.path.join(files, kernel, VARIANTS[size < SMALL_GRID])
            os.makedirs(folder, exist_ok=True)
            with open(os.path.join(folder, f"{kernel}.so"), "wb") as file:
                file.write(library)
        return True

    @property
    def objects(self) -> objects.Objects:
        """What compiles without kernels; `objects.Unable` where PoCL's library is another."""
        if self._objects is None:
            self._objects = objects.Objects(self.pocl, self._device)
        return self._objects

    def lighten(self) -> None:
        """In a process of its own: nothing is done twice."""
        lighter.lighten(self.pocl)
        self._machines = Machines(self.pocl)

    def _bitcode(self, source: bytes, options: bytes) -> bytes:
        kept = self._machines.kept(options) if self._machines else contextlib.nullcontext()
        lines = (c_char_p * 1)(source)
        program = self._made("clCreateProgramWithSource", self._context, 1, lines, None)
        self._texts += 1  # PoCL names its files after options and text, but see lighter.py
        options += b" -DFX_TEXT=%d_%d" % (os.getpid(), self._texts)
        try:
            nothing = (0, None, None, None, None)
            with kept:
                self._call("clCompileProgram", program, 1, byref(self._device), options, *nothing)
            size, got = c_size_t(), c_size_t()
            self._call("clGetProgramInfo", program, _BINARY_SIZES, c_size_t(8), byref(size), None)
            packed = ctypes.create_string_buffer(size.value)
            place = (c_void_p * 1)(ctypes.addressof(packed))
            self._call("clGetProgramInfo", program, _BINARIES, c_size_t(8), place, byref(got))
        finally:
            self._cl.clReleaseProgram(program)
        code = bitcode_of(packed.raw)
        if code is None:
            raise Refused("no bitcode")
        return code

    def _machine_code(self, code: bytes, options: bytes, launches: Any) -> None:
        size, held = c_size_t(len(code)), ctypes.create_string_buffer(code, len(code))
        place = (c_void_p * 1)(ctypes.addressof(held))
        args = (self._context, 1, byref(self._device), byref(size), place, None)
        program = self._made("clCreateProgramWithBinary", *args)
        try:
            self._call("clBuildProgram", program, 1, byref(self._device), options, None, None)
            for name, global_size, local_size in launches:
                self._compile(program, name.encode(), global_size, local_size)
        finally:
            self._cl.clReleaseProgram(program)

    def _compile(self, program: Any, name: bytes, global_size: int, local_size: int) -> None:
        """Run a kernel for a stage that it does not have: it touches no argument."""
        kernel = self._made("clCreateKernel", program, name)
        try:
            count = c_uint()
            self._call("clGetKernelInfo", kernel, _NUM_ARGS, c_size_t(4), byref(count), None)
            stage = c_int(NO_STAGE)
            self._call("clSetKernelArg", kernel, 0, c_size_t(4), byref(stage))
            empty = (ctypes.c_char * 8)()  # no memory, or zero
            for k in range(1, count.value):
                self._call("clSetKernelArg", kernel, k, c_size_t(8), empty)
            sizes = (c_size_t * 1)(global_size), (c_size_t * 1)(local_size)
            waits = (0, None, None)
            self._call("clEnqueueNDRangeKernel", self._queue, kernel, 1, None, *sizes, *waits)
            self._call("clFinish", self._queue)
        finally:
            self._cl.clReleaseKernel(kernel)

    def _find(self) -> int:
        for platform in self._ids("clGetPlatformIDs"):
            name = self._name("clGetPlatformInfo", platform, _PLATFORM_NAME)
            if "portable computing" not in name.lower():
                continue
            for device in self._ids("clGetDeviceIDs", c_void_p(platform), c_ulong(_ALL_DEVICES)):
                if self._name("clGetDeviceInfo", device, _DEVICE_NAME).startswith(SERIAL):
                    return device
        raise Refused("PoCL has no serial device here")

    def _ids(self, function: str, *args: Any) -> list[int]:
        count = c_uint()
        self._call(function, *args, 0, None, byref(count))
        found = (c_void_p * count.value)()
        self._call(function, *args, count, found, None)
        return [x for x in found if x]

    def _name(self, function: str, of: int, what: int) -> str:
        text = ctypes.create_string_buffer(256)
        self._call(function, c_void_p(of), c_uint(what), c_size_t(256), text, None)
        return text.value.decode(errors="replace")

    def _made(self, function: str, *args: Any) -> c_void_p:
        error = c_int()
        make = getattr(self._cl, function)
        make.restype = c_void_p
        made = make(*args, byref(error))
        if error.value or not made:
            raise Refused(f"{function}: {error.value}")
        return c_void_p(made)

    def _call(self, function: str, *args: Any) -> None:
        error = getattr(self._cl, function)(*args)
        if error:
            raise Refused(f"{function}: {error}")


def serve(path: str, pocl: str, files: str, kept_in: str) -> None:
    """Say that it is ready, then answer jobs until there are no more: each with bitcode, as soon as
    it is there, and when all is done with what was made beside it, or None where PoCL refuses it.
    PoCL works in the folder `files`; machine code is then moved to `kept_in`. At the end the folder
    that `files` is in goes.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is meant for the process that asks
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, aside.WAIT)
    jobs, answers = os.fdopen(os.dup(0), "rb", 0), os.fdopen(os.dup(1), "wb")
    for k in range(3):  # what LLVM prints is no answer
        os.dup2(nowhere, k)

    def early(code: bytes) -> None:
        _say((BITCODE, code), answers)

    try:
        compiler = Compiler(path, pocl)
        _say(b"ready", answers)
        compiler.lighten()
        if not select.select([jobs], [], [], 0)[0]:
            with contextlib.suppress(objects.Unable):
                compiler.objects  # noqa: B018 (looks functions up while nobody waits)
        while _comes(jobs, compiler, (jobs.fileno(), answers.fileno())):
            job = marshal.loads(_read(jobs, int.from_bytes(_read(jobs, 8), "little")))
            answer = ANSWERS[job[0]](compiler, job[1:], files, kept_in, early)
            for why in compiler.unlinked:
                _say((UNLINKED, why), answers)
            compiler.unlinked.clear()
            _say((DONE, answer), answers)
            if not compiler.shelf.busy:
                _clean(files)
    except EOFError:
        return
    finally:
        shutil.rmtree(os.path.dirname(files), ignore_errors=True)


def _comes(jobs: Any, compiler: Compiler, files: tuple[int, int]) -> bool:
    """Wait for a job; whether there is one. Who has none for a moment gets a twin."""

    def within(seconds: float) -> bool:
        return bool(select.select([jobs], [], [], seconds)[0])

    if within(RESTS):
        return True
    compiler.double(files, lambda: within(0))
    compiler.shelf.work(compiler.piece, files)
    return within(IDLE)


def _read(jobs: Any, size: int) -> bytes:
    """No byte more: what is read ahead, `select` does not see. EOFError: there are no more."""
    data = b""
    while len(data) < size:
        some = jobs.read(size - len(data))
        if not some:
            raise EOFError
        data += some
    return data


def _say(answer: Any, answers: Any) -> None:
    """The answer's length, then the answer: who reads it never waits for what is not there."""
    text = marshal.dumps(answer)
    answers.write(len(text).to_bytes(8, "little") + text)
    answers.flush()


REFUSALS = Refused, OSError, objects.Unable


def _whole(compiler: Compiler, job: Job, files: str, kept_in: str, early: Any) -> bool | None:
    source, front, back, launches = job
    with contextlib.suppress(*REFUSALS):
        names = {name for name, *_ in launches}
        there = [os.path.join(kept_in, name) for name in names]
        made = [code for k in there if kept.only_whole(k) for code in kept.files(k)]
        if len(made) >= len(launches):
            compiler.build(source, front, back, (), early=early)
            return True
        compiler.build(*job, files, early)
        for name in names:
            move(os.path.join(files, name), os.path.join(kept_in, name))
        return True


def _join(compiler: Compiler, job: Any, files: str, kept_in: str, early: Any) -> Any:
    main, known, texts, otherwise = job
    for _ in range(2):
        if otherwise is not None and compiler.twin is None:
            main, texts = otherwise, ()
        with contextlib.suppress(*REFUSALS):
            new: list[Piece] = []
            if known or texts:
                new = compiler.join(main, known, texts, files, early)
            else:
                source, front, back, launches = main
                compiler.build(source, front, back, launches, files, early)
            for name in {name for name, *_ in main[3]}:
                move(os.path.join(files, name), os.path.join(kept_in, name))
            return new
        if compiler.twin is None or compiler.twin.able:
            return None
        compiler.twin = None  # it has failed: without it
    return None


def _stock(compiler: Compiler, job: Any, files: str, kept_in: str, _: Any) -> None:
    """What it asks for is made in a fork, which has a folder of its own and no twin."""
    folder = os.path.join(os.path.dirname(files), SHELF)

    def build(*whole: Any) -> bytes | None:
        os.makedirs(os.path.join(folder, PARTS), exist_ok=True)
        compiler.twin = None
        codes: list[bytes] = []
        asked = (*whole, (), None)
        made = _join(compiler, asked, os.path.join(folder, "files"), kept_in, codes.append)
        return None if made is None else codes[-1]

    compiler.shelf.take(build, *job)


ANSWERS: dict[str, Any] = {"whole": _whole, "join": _join, "stock": _stock}
"""By the first word of a job: the rest is what the function is asked; None where PoCL refuses."""


def _clean(files: str) -> None:
    """Take away what PoCL leaves."""
    for entry in os.scandir(files):
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path, ignore_errors=True)
        else:
            with contextlib.suppress(OSError):
                os.unlink(entry.path)


def move(kernel: str, kept_in: str) -> None:
    """Machine code of a kernel to another folder: whole files or none."""
    for variant, path in kept.files(kernel):
        to = os.path.join(kept_in, variant)
        os.makedirs(to, exist_ok=True)
        kept.place(path, os.path.join(to, os.path.basename(path)))
