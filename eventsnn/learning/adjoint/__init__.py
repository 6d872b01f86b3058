"""Training of continuous networks by the adjoint of their event simulation."""
