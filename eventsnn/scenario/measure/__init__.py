"""From spikes to figures: measure.py for all of them, one file for each kind."""
