"""Configuration: JAX's flag names, process-wide with thread-local overrides by context managers.

`config.update("jax_enable_x64", True)` and `config.update("enable_x64", True)` are the same; the
environment variable JAX_ENABLE_X64 says what holds at first.
Every change makes a new `token`, an object that stands for the whole setting in the key of each
jitted call.
"""

from __future__ import annotations

import os
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import takewhile
from typing import Any

from fx import avals

_DEFAULTS: dict[str, Any] = {
    "enable_x64": False,
    "debug_nans": False,
    "debug_infs": False,
    "disable_jit": False,
    "log_compiles": False,
    "explain_cache_misses": False,
    "check_tracer_leaks": False,
    "enable_checks": False,
    "no_tracing": False,
    "debug_key_reuse": False,
    "default_matmul_precision": None,
    "numpy_rank_promotion": "allow",
    "numpy_dtype_promotion": "standard",
    "default_prng_impl": "threefry2x32",
    "default_device": None,
    "traceback_filtering": "auto",
    "platform_name": "",
    "platforms": None,
    "threefry_partitionable": True,
    "enable_custom_prng": False,
    "legacy_prng_key": "allow",
    "softmax_custom_jvp": True,
    "compilation_cache_dir": None,
    "debug_log_modules": "",
    "transfer_guard": "allow",
    "transfer_guard_host_to_device": "allow",
    "transfer_guard_device_to_device": "allow",
    "transfer_guard_device_to_host": "allow",
    "cpu_enable_async_dispatch": True,
    "num_cpu_devices": -1,
}
_COMPILER: dict[str, Any] = {
    "array_garbage_collection_guard": "allow",
    "captured_constants_report_frames": 0,
    "captured_constants_warn_bytes": 2_000_000_000,
    "compilation_cache_expect_pgle": False,
    "compilation_cache_include_metadata_in_key": False,
    "compilation_cache_max_size": -1,
    "compiler_enable_remat_pass": True,
    "cpu_collectives_implementation": "gloo",
    "distributed_debug": False,
    "dump_ir_to": "",
    "enable_compilation_cache": True,
    "enable_pgle": False,
    "exec_time_optimization_effort": 0.0,
    "hlo_source_file_canonicalization_regex": None,
    "include_debug_info_in_dumps": True,
    "include_full_tracebacks_in_locations": True,
    "logging_level": None,
    "memory_fitting_effort": 0.0,
    "memory_fitting_level": "O2",
    "optimization_level": "UNKNOWN",
    "persistent_cache_enable_xla_caches": "xla_gpu_per_fusion_autotune_cache_dir",
    "persistent_cache_min_compile_time_secs": 1.0,
    "persistent_cache_min_entry_size_bytes": 0,
    "pgle_aggregation_percentile": 90,
    "pgle_profiling_runs": 3,
    "raise_persistent_cache_errors": False,
    "share_binary_between_hosts": False,
    "thread_guard": False,
    "traceback_in_locations_limit": 10,
    "use_direct_linearize": True,
    "use_shardy_partitioner": True,
}
"""Flags of XLA's compiler and of its cache on disk: programs set them, no result hangs on them, and
nothing is done about them here."""
_DEFAULTS.update(_COMPILER)

_GUARDS = ("allow", "log", "disallow", "log_explicit", "disallow_explicit")
_CHOICES = {
    **{name: _GUARDS for name in _DEFAULTS if name.startswith("transfer_guard")},
    "numpy_rank_promotion": ("allow", "warn", "raise"),
    "numpy_dtype_promotion": ("standard", "strict"),
}
_ELSEWHERE = {
    "threefry_partitionable": "random numbers are those of jax_threefry_partitionable=True; "
    "the older streams are not offered",
    "default_prng_impl": "the only generator is threefry2x32; random numbers are its",
    "debug_key_reuse": "keys that are used twice are not looked for",
    "num_cpu_devices": "a program runs on one device",
}
"""What other values than the default do not do here: setting one warns."""

_NOT_TRACED = {
    *("log_compiles", "explain_cache_misses", "no_tracing", "traceback_filtering"),
    *("compilation_cache_dir", "debug_log_modules", "cpu_enable_async_dispatch"),
    *("num_cpu_devices", *_COMPILER),
}
"""Flags that change nothing of what is traced: functions are not traced again for them."""

_TRUTH = {
    **dict.fromkeys(("y", "yes", "t", "true", "on", "1"), True),
    **dict.fromkeys(("n", "no", "f", "false", "off", "0"), False),
}
# flag -> what to call with the new value, and whether it holds for this thread only
_LISTENERS: dict[str, Callable[[Any, bool], None]] = {}


class _Local(threading.local):
    def __init__(self) -> None:
        self.overrides: dict[str, Any] = {}
        self.token: object = None
        self.version = -1


class Config:
    """Reads flags as attributes (`config.enable_x64`, `config.jax_enable_x64`); `update`
    sets them.
    """

    def __init__(self) -> None:
        self.__dict__["_values"] = dict(_DEFAULTS)
        self.__dict__["_local"] = _Local()
        self.__dict__["_tokens"] = {}
        self.__dict__["_version"] = 0
        self.__dict__["_overriding"] = []  # one entry for each override in force, in any thread
        self.__dict__["_token"] = None  # of the process-wide values, once asked for
        for key, default in _DEFAULTS.items():
            text = os.environ.get(f"JAX_{key.upper()}")
            if text is not None:
                self.update(key, _parsed(key, text) if isinstance(default, bool) else text)

    def update(self, name: str, value: Any) -> None:
        """Set a flag for the whole process. Raises AttributeError for a name that is no flag."""
        key = _flag(name)
        _check_choice(key, value)
        _warn_elsewhere(key, value, 3)
        self._values[key] = value
        self.__dict__["_version"] += 1
        self.__dict__["_token"] = None
        if key == "enable_x64":
            avals.set_x64(bool(value))
        _tell(key, value, False)

    def parse_flags_with_absl(self) -> None:
        """Set the flags that the command line gives before "--": `--jax_name=value`, `--jax_name`,
        `--nojax_name`. Names of no flag are left to the program.
        """
        for word in takewhile(lambda a: a != "--", sys.argv[1:]):
            name, given, text = word.removeprefix("--").partition("=")
            key = name.removeprefix("no").removeprefix("jax_")
            if not word.startswith(("--jax_", "--nojax_")) or key not in _DEFAULTS:
                continue
            if isinstance(_DEFAULTS[key], bool):
                on = text.lower() in ("true", "t", "1") if given else True
                self.update(key, on != name.startswith("no"))
            else:
                self.update(key, int(text) if isinstance(_DEFAULTS[key], int) else text)

    def read(self, name: str) -> Any:
        """The flag's value in this thread."""
        key = _flag(name)
        return self._local.overrides.get(key, self._values[key])

    def __getattr__(self, name: str) -> Any:
        if name == "x64_enabled":
            return avals.x64_enabled()
        try:
            return self.read(name)
        except AttributeError:
            raise AttributeError(f"Unrecognized config option: {name}") from None

    def __setattr__(self, name: str, value: Any) -> None:
        self.update(name, value)

    @property
    def values(self) -> dict[str, Any]:
        """All flags under JAX's names."""
        return {f"jax_{k}": self.read(k) for k in self._values}

    def token(self) -> object:
        """An object that is the same exactly while all flags that count for what is traced are the
        same in this thread.
        """
        if not self._overriding:
            return self._token or self._process_token()
        local = self._local
        if local.version != self._version:
            local.token = self._token_of({**self._values, **local.overrides})
            local.version = self._version
        return local.token

    def _process_token(self) -> object:
        version = self._version
        token = self._token_of(self._values)
        if version == self._version:  # else another thread has updated a flag meanwhile
            self.__dict__["_token"] = token
        return token

    def _token_of(self, values: dict[str, Any]) -> object:
        traced = tuple((k, _key(v)) for k, v in values.items() if k not in _NOT_TRACED)
        return self._tokens.setdefault(traced, object())

    @contextmanager
    def override(self, name: str, value: Any) -> Iterator[None]:
        """Set a flag for this thread inside a `with` block."""
        key = _flag(name)
        _check_choice(key, value)
        _warn_elsewhere(key, value, 4)  # past contextlib: at the user's `with`
        local = self._local
        had, old = key in local.overrides, local.overrides.get(key)
        old_x64 = avals.swap_thread_x64(bool(value)) if key == "enable_x64" else None
        local.overrides[key] = value
        local.version = -1
        self._overriding.append(key)  # appending and removing are atomic
        _tell(key, value, True)
        try:
            yield
        finally:
            self._overriding.remove(key)
            if had:
                local.overrides[key] = old
            else:
                del local.overrides[key]
            local.version = -1
            if key == "enable_x64":
                avals.swap_thread_x64(old_x64)
            _tell(key, self.read(key), True)


def _key(value: Any) -> Any:
    """What tells a flag's values apart: 1 and True differ, and so do devices of one name."""
    try:
        return type(value), value, hash(value)
    except TypeError:
        return repr(value)


def _flag(name: str) -> str:
    key = name.removeprefix("jax_")
    if key not in _DEFAULTS:
        raise AttributeError(f"Unrecognized config option: {name}")
    return key


def _parsed(key: str, text: str) -> bool:
    try:
        return _TRUTH[text.lower()]
    except KeyError:
        name = f"JAX_{key.upper()}"
        raise ValueError(f"invalid truth value {text!r} for environment {name!r}") from None


def _check_choice(key: str, value: Any) -> None:
    legal = _CHOICES.get(key)
    if legal is not None and value not in legal:
        raise ValueError(f"{key}: new value must be one of {legal}, got {value!r}")


def _warn_elsewhere(key: str, value: Any, stacklevel: int) -> None:
    if key in _ELSEWHERE and value != _DEFAULTS[key]:
        warnings.warn(f"jax_{key}={value!r}: {_ELSEWHERE[key]}", stacklevel=stacklevel)


def _tell(key: str, value: Any, thread_only: bool) -> None:
    listener = _LISTENERS.get(key)
    if listener is not None:
        listener(value, thread_only)


def on_change(name: str, listener: Callable[[Any, bool], None]) -> None:
    """Call `listener(value, thread_only)` whenever the flag changes; for modules that keep a copy
    on a hot path. It hears of what the environment has set at once.
    """
    key = _flag(name)
    _LISTENERS[key] = listener
    if config.read(key) != _DEFAULTS[key]:
        listener(config.read(key), False)


config = Config()

_UNSET = object()


def disable_jit(disable: bool = True) -> Any:
    """Context manager: functions under `jit` run operation by operation inside the block."""
    return config.override("disable_jit", disable)


def _flag_context(name: str, default: Any = True) -> Callable[..., Any]:
    def manager(new_val: Any = _UNSET) -> Any:
        return config.override(name, default if new_val is _UNSET else new_val)

    manager.__name__ = name
    manager.__doc__ = f"Context manager: `{name}` inside the block, for this thread."
    return manager


enable_x64 = _flag_context("enable_x64")
debug_nans = _flag_context("debug_nans")
debug_infs = _flag_context("debug_infs")
log_compiles = _flag_context("log_compiles")
explain_cache_misses = _flag_context("explain_cache_misses")
check_tracer_leaks = _flag_context("check_tracer_leaks")
checking_leaks = _flag_context("check_tracer_leaks")
enable_checks = _flag_context("enable_checks")
no_tracing = _flag_context("no_tracing")
debug_key_reuse = _flag_context("debug_key_reuse")
default_matmul_precision = _flag_context("default_matmul_precision", None)
numpy_rank_promotion = _flag_context("numpy_rank_promotion")
numpy_dtype_promotion = _flag_context("numpy_dtype_promotion")
default_prng_impl = _flag_context("default_prng_impl", "threefry2x32")
enable_custom_prng = _flag_context("enable_custom_prng")
legacy_prng_key = _flag_context("legacy_prng_key", "allow")
softmax_custom_jvp = _flag_context("softmax_custom_jvp")
threefry_partitionable = _flag_context("threefry_partitionable")
# host and device share their memory: nothing is transferred, and the guards guard nothing
transfer_guard = _flag_context("transfer_guard", "allow")
transfer_guard_host_to_device = _flag_context("transfer_guard_host_to_device", "allow")
transfer_guard_device_to_device = _flag_context("transfer_guard_device_to_device", "allow")
transfer_guard_device_to_host = _flag_context("transfer_guard_device_to_host", "allow")
