"""Training of single-spike networks by the exact gradient of their spike times."""
