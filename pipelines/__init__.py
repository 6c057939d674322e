"""The tools: named files in, named files out; the only place that prints."""
