"""Work that can wait, and a grid that is dirty now: how far a flexible model is held back, and what that saves."""

# The container whose program `fleet.carbon.exporter` is.
EXPORTER = "carbon-exporter"
