"""What a caller may still write to is copied before it is kept: results that would be views of a
caller's NumPy array, and residuals that are one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def apart(results: Any, args: Sequence[Any]) -> Any:
    """NumPy results (one, or a sequence of them) of a rule on `args`, none of which shares memory
    with a NumPy array among them.
    """
    given = [a for a in args if isinstance(a, np.ndarray)]
    if not given:
        return results
    if isinstance(results, (list, tuple)):
        return [_apart(r, given) for r in results]
    return _apart(results, given)


def _apart(result: Any, given: list[np.ndarray]) -> Any:
    shared = isinstance(result, np.ndarray) and any(np.may_share_memory(result, a) for a in given)
    return np.array(result) if shared else result


def snapshots(values: Sequence[Any]) -> list[Any]:
    """The values as they are now: NumPy arrays, which may be written to later, as copies."""
    return [np.array(v) if isinstance(v, np.ndarray) else v for v in values]
