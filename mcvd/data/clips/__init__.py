"""Clips: what one is, where they lie in the videos, which comes next, and the data set that reads them."""
