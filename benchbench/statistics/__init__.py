"""Intervals and verdicts: numpy and scipy, no torch."""
