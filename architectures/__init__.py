"""The networks under comparison: PyTorch only, one file a family."""
