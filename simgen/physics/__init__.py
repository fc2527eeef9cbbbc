"""Optics, geometry, spectra, noise and numbers of a sensor, in numpy."""
