"""Invented streets, seen from a moving car: the world, its painter, and the collection `DrivingScenes`."""
