"""Collections that are drawn rather than filmed: no download, any length, any number of videos."""
