"""What makes the spiking network: build.py for one that is written out, convert.py for one from trained weights."""
