"""Fewer launches: loops of them, rows of them and those beside each other become one."""
