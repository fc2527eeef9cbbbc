"""Photographs in, shards of simulated PAN and MS out."""
