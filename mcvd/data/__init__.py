"""Where video comes from and goes to: readers, writers, clips, data sets."""
