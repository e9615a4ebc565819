"""Nothing at all: what is measured is the engine, the backend and the language host."""
