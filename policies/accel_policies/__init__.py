"""Rules over what a Pulumi program registers. Pure Python but for `pack`, which alone speaks to the engine."""
