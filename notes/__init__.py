"""The written notes, and the figures in them: prose by hand, tables from the catalogue."""
