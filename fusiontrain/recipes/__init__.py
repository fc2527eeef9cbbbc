"""Whole runs as functions that return frozen configurations."""
