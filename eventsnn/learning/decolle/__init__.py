"""DECOLLE: local learning layer by layer, at stated widths."""
