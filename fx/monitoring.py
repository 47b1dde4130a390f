"""Events that a program reports and listeners hear, under JAX's names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

_listeners: dict[str, list[Callable[..., Any]]] = {
    "event": [],
    "duration": [],
    "scalar": [],
    "span": [],
}


def _record(kind: str) -> Callable[..., None]:
    def record(event: str, *values: Any, **kwargs: Any) -> None:
        for listener in _listeners[kind]:
            listener(event, *values, **kwargs)

    record.__doc__ = f"Tell the {kind} listeners: the name, its values, and keywords."
    return record


def _register(kind: str) -> Callable[[Callable[..., Any]], None]:
    def register(callback: Callable[..., Any]) -> None:
        _listeners[kind].append(callback)

    register.__doc__ = (
        f"Call `callback(event, *values, **keywords)` for every {kind} recorded from now on."
    )
    return register


def _unregister(kind: str) -> Callable[[Callable[..., Any]], None]:
    def unregister(callback: Callable[..., Any]) -> None:
        _listeners[kind].remove(callback)

    unregister.__doc__ = f"Stop calling a {kind} listener; ValueError if there is no such one."
    return unregister


record_event = _record("event")
record_event_duration_secs = _record("duration")
record_scalar = _record("scalar")
record_event_time_span = _record("span")
register_event_listener = _register("event")
register_event_duration_secs_listener = _register("duration")
register_scalar_listener = _register("scalar")
register_event_time_span_listener = _register("span")
unregister_event_listener = _unregister("event")
unregister_event_duration_listener = _unregister("duration")
unregister_scalar_listener = _unregister("scalar")
unregister_event_time_span_listener = _unregister("span")


def clear_event_listeners() -> None:
    """Forget the listeners of every kind: events, durations, scalars and spans."""
    for listeners in _listeners.values():
        listeners.clear()
