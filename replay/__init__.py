"""Replay of recorded device accesses into Python device models."""
