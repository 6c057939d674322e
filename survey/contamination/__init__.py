"""The map plane: tables of objects, coverage and districts in, contamination layers out."""
