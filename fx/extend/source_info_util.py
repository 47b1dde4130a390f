"""`fx.extend.source_info_util`: whose lines messages name."""

from __future__ import annotations

from fx.core import hide_frames


def register_exclusion(path: str) -> None:
    """Never name a line of files whose path begins with `path` as the user's."""
    hide_frames(path)
