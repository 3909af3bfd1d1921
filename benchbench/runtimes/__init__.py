"""Ways to execute a case: prepare it, then call it."""
