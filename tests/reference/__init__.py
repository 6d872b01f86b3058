"""Plain twins of the engines, written from docs/semantics.md alone."""
