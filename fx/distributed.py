"""Programs of several processes: this one is alone, and says so."""

from __future__ import annotations

from typing import Any

_initialized = False


def initialize(
    coordinator_address: str | None = None,
    num_processes: int | None = None,
    process_id: int | None = None,
    local_device_ids: Any = None,
    **options: Any,
) -> None:
    """Say that the program runs in several processes; here it is one.

    RuntimeError where num_processes is not 1 or process_id not 0; other arguments have no effect.
    """
    global _initialized
    if num_processes not in (None, 1) or process_id not in (None, 0):
        raise RuntimeError(
            f"a program runs in one process, not {num_processes} (process {process_id})"
        )
    _initialized = True


def is_initialized() -> bool:
    """Whether `initialize` was called and `shutdown` was not, since then."""
    return _initialized


def shutdown() -> None:
    """End what `initialize` started, which may then be called again."""
    global _initialized
    _initialized = False
