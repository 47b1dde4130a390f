"""Versions: of this library, and of the JAX whose semantics it has."""

from fx import __version__ as __version__
from fx import __version_info__ as __version_info__
