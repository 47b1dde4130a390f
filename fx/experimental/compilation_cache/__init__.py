"""Where programs set the folder of compiled functions."""
