"""Any-band networks: one set of weights for any number of bands, any ratio, any sensor."""
