"""What keys of different sections must agree on: one file for each part, sections.py for the whole."""
