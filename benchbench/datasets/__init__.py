"""Folders of labelled images: what is in them, and their pixels in batches."""
