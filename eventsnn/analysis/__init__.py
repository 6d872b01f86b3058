"""What is computed from spikes when a run is done, and rules by which it may end early."""
