"""Draws aerial scenes whose answers are known, for training, tests and the sample job.

A *site* (light, soil, season, sensor, clutter) gives a *world* (ground and things in metres); a world seen
through a *frame* (pixel grid) by a sensor gives a scene with its labels. The same world can be photographed
twice. Drawn scenes say nothing about performance in the field.
"""
