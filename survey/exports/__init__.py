"""Layers as files: GeoPackage, tables, report, hand-over packages."""
