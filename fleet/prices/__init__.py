"""Prices anew, from the clouds' own lists or from a snapshot of gpuhunt's or SkyPilot's: rows of catalog/data/prices.csv."""
