"""Scenarios as text: where the files lie, strict YAML with line numbers, mistakes in sentences."""
