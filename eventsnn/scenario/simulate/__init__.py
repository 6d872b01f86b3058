"""From samples to spikes: encode.py for what goes in, simulate.py for the batches, and what is kept of each."""
