"""`fx.extend`: what those who extend the library use (`fx.extend.core`)."""

from fx.extend import core as core
