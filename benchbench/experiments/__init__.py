"""Experiments: which cases and profilers a task needs, and what its records say."""
