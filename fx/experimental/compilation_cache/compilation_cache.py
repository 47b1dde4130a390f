"""Compiled functions are kept on disk without being asked: docs/environment.md says where."""

from __future__ import annotations

from fx.config import config

__all__ = ["reset_cache", "set_cache_dir"]


def set_cache_dir(path: str) -> None:
    """Set the flag `jax_compilation_cache_dir`, which says where XLA keeps its programs."""
    config.update("jax_compilation_cache_dir", path)


def reset_cache() -> None:
    """Set the flag back."""
    config.update("jax_compilation_cache_dir", None)
