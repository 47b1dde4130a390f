"""`fx.extend`: what those who extend the library use (`core`, `linear_util`, `backend`)."""

from fx.extend import backend as backend
from fx.extend import core as core
from fx.extend import linear_util as linear_util
from fx.extend import source_info_util as source_info_util
