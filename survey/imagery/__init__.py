"""Rasters: open a scene, place its pixels on the ground, cut it into tiles, read them and say what could be seen."""
