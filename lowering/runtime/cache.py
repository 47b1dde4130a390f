"""The disk cache: bytes under a hash of everything they depend on.

Entries are versioned and carry a checksum; a write goes to a temporary file that is renamed. What
cannot be read (corrupt, another version, another user's, no permission) is a miss, and the first
failure of a process gives one warning. FX_CACHE_DIR names the place ("off": none). It does not grow
beyond LIMIT: what was not used for longest goes. Who stores does not wait for the disk (later.py).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import pickle
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lowering.runtime import later

VERSION = "1"
"""Part of every path: raise it when the layout of an entry, a Plan or generated code changes."""

LIMIT = 512 << 20
"""Bytes of one kind of entries; what was not used for longest goes when there are more."""

FOLDERS = 256
"""Of one kind, over which a hash deals the entries."""

Body = bytes | Callable[[], bytes | None]
"""What is stored, or what makes it when it is written or asked for; None: nothing, after all."""

_MAGIC = b"fxcache" + VERSION.encode() + b"\n"
_warned = False
_pruned: set[str] = set()  # folders that this process has looked through
_written: set[str] = set()  # places where this process has stored something
_waiting: dict[str, Body] = {}  # what is not yet on disk


class CacheWarning(UserWarning):
    """The disk cache cannot be used; programs are built as if it were empty."""


def directory() -> Path | None:
    """Where entries are kept, or None if FX_CACHE_DIR is "off"."""
    root = _root()
    return None if root is None else Path(root)


def _root() -> str | None:
    named = os.environ.get("FX_CACHE_DIR", "")
    if named.lower() == "off":
        return None
    if named:
        return named
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(home, "fx")


def key_of(*parts: Any) -> str:
    """A hash of the parts' texts; their order and borders count."""
    digest = hashlib.sha256()
    for part in parts:
        data = part if isinstance(part, bytes) else str(part).encode()
        digest.update(len(data).to_bytes(8, "little") + data)
    return digest.hexdigest()


def load(kind: str, key: str) -> bytes | None:
    """The bytes stored under `key`, or None."""
    path = _path(kind, key)
    if path is None:
        return None
    if (body := _waiting.get(path)) is not None:
        return body() if callable(body) else body
    try:
        with open(path, "rb") as f:
            if hasattr(os, "getuid") and os.fstat(f.fileno()).st_uid != os.getuid():
                raise OSError("it belongs to another user")
            data = f.read()
    except FileNotFoundError:
        return None
    except OSError as e:
        _warn(path, e)
        return None
    head, body = data[: len(_MAGIC) + 32], data[len(_MAGIC) + 32 :]
    if head != _MAGIC + hashlib.sha256(body).digest():
        _warn(path, ValueError("its contents are damaged or not ours"))
        return None
    with contextlib.suppress(OSError):
        os.utime(path)  # it was of use: see `prune`
    return body


def has(kind: str, key: str) -> bool:
    """Whether something is stored under `key`, whole or not."""
    path = _path(kind, key)
    return path is not None and (path in _waiting or os.path.exists(path))


def keep(kind: str, key: str, body: bytes) -> None:
    """`store`, for a process that ends soon: it is on disk."""
    path = _path(kind, key)
    if path is not None:
        _write(path, body)


def store(kind: str, key: str, body: Body) -> None:
    """Keep `body` under `key`; another process may do the same at the same time. It is soon on
    disk; the first entry of a process at once, so that its caller is told where that cannot be.
    """
    root, path = _root(), _path(kind, key)
    if path is None or root is None:
        return
    if root not in _written:
        _written.add(root)
        _write(path, body)
        return
    _waiting[path] = body
    later.do(_write_waiting, path)


def _write_waiting(path: str) -> None:
    body = _waiting.get(path)
    if body is None:
        return
    try:
        with contextlib.suppress(CacheWarning):  # an error where warnings are
            _write(path, body)
    finally:
        if _waiting.get(path) is body:
            del _waiting[path]


def _write(path: str, made: Body) -> None:
    body = made() if callable(made) else made
    if body is None:
        return
    folder, temporary = os.path.dirname(path), None
    try:
        os.makedirs(folder, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=folder)
        with os.fdopen(handle, "wb") as f:
            f.write(_MAGIC + hashlib.sha256(body).digest() + body)
        os.replace(temporary, path)
    except OSError as e:
        if temporary is not None:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
        _warn(path, e)
        return
    if folder not in _pruned:
        prune(folder)


def prune(folder: str | Path) -> None:
    """Remove the entries of a folder that were not used for longest, until they fit in its share
    of LIMIT; a process that adds entries does so once a folder. To look through all of them would
    take longer than a build.
    """
    _pruned.add(os.fspath(folder))
    entries = []
    with contextlib.suppress(OSError), os.scandir(folder) as listed:
        for e in listed:
            with contextlib.suppress(FileNotFoundError):  # stored or removed by another process
                s = e.stat()
                entries.append((s.st_mtime, s.st_size, e.path))
    size = sum(n for _, n, _ in entries)
    for _, n, entry in sorted(entries)[:-1]:  # the last one is new
        if size <= LIMIT // FOLDERS:
            break
        with contextlib.suppress(OSError):
            os.unlink(entry)
        size -= n


def load_object(kind: str, key: str) -> Any:
    """The pickled object under `key`, or None (also where it no longer unpickles)."""
    body = load(kind, key)
    if body is None:
        return None
    try:
        return pickle.loads(body)
    except Exception as e:  # an entry of other code may raise whatever its classes raise
        _warn(_path(kind, key), e)
        return None


def store_object(kind: str, key: str, value: Any) -> None:
    """Pickle `value` under `key`."""
    store(kind, key, pickle.dumps(value, protocol=5))


def clear() -> None:
    """Forget that a warning was given and what was looked through (tests); entries stay."""
    global _warned
    later.settle()
    _warned = False
    _pruned.clear()
    _written.clear()


def _path(kind: str, key: str) -> str | None:
    root = _root()
    return None if root is None else os.path.join(root, f"v{VERSION}", kind, key[:2], key)


def _warn(path: str | None, reason: Exception) -> None:
    global _warned
    if not _warned:
        _warned = True
        warnings.warn(
            f"the cache entry {path} cannot be used: {reason}. Going on without it; "
            "FX_CACHE_DIR names another directory, FX_CACHE_DIR=off switches the cache off.",
            CacheWarning,
            stacklevel=3,
        )
