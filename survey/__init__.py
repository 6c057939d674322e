"""Aerial survey of explosive hazards: orthomosaics in, contamination layers out."""

__version__ = "0.1.0"
