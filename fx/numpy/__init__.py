"""fx.numpy: NumPy's functions on fx arrays, with JAX's dtypes, weak types and bounds."""

from __future__ import annotations

import importlib
from typing import Any

from fx.array import Array as ndarray  # noqa: F401
from fx.former import missing as _missing
from fx.numpy.calculus import *  # noqa: F403
from fx.numpy.contraction import *  # noqa: F403
from fx.numpy.creation import *  # noqa: F403
from fx.numpy.cumulative import *  # noqa: F403
from fx.numpy.diagonals import *  # noqa: F403
from fx.numpy.index_tricks import *  # noqa: F403
from fx.numpy.joining import *  # noqa: F403
from fx.numpy.manipulation import *  # noqa: F403
from fx.numpy.methods import install as _install
from fx.numpy.nanfunctions import *  # noqa: F403
from fx.numpy.padding import *  # noqa: F403
from fx.numpy.polynomial import *  # noqa: F403
from fx.numpy.printing import *  # noqa: F403
from fx.numpy.products import *  # noqa: F403
from fx.numpy.ranges import *  # noqa: F403
from fx.numpy.recorded import install as _record
from fx.numpy.reductions import *  # noqa: F403
from fx.numpy.scalar_types import *  # noqa: F403
from fx.numpy.scalar_types import bool_ as bool  # noqa: F401
from fx.numpy.searching import *  # noqa: F403
from fx.numpy.selection import *  # noqa: F403
from fx.numpy.setops import *  # noqa: F403
from fx.numpy.sorting import *  # noqa: F403
from fx.numpy.statistics import *  # noqa: F403
from fx.numpy.ufunc_class import *  # noqa: F403
from fx.numpy.ufunc_class import UFUNCS as _UFUNCS
from fx.numpy.ufuncs import *  # noqa: F403
from fx.numpy.ufuncs_logic import *  # noqa: F403
from fx.numpy.ufuncs_more import *  # noqa: F403
from fx.numpy.windows import *  # noqa: F403

globals().update(_UFUNCS)
_record(globals())
_install()

_LAZY = ("linalg", "fft")


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return importlib.import_module(f"fx.numpy.{name}")
    raise _missing("fx.numpy", name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
