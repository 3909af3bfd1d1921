"""Numbers that need no clock: one walk over the executed operators, tables of formulas."""
