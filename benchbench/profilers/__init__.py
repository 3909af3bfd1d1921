"""Profilers: a case in, measurements out. One file each, no base class."""
