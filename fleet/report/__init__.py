"""What a stack costs, emits and needs, and what a change to its file does: told from the files alone, with no engine."""
