"""The seed's projects: runnable scripts with paired notebooks, each small enough for a CPU (projects/README.md).

They read the catalogue's facts (`fleet.catalog`) and share nothing else with the platform.
"""
