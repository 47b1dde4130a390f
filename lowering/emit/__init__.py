"""Scheduled nest to the OpenCL C text of one stage."""
