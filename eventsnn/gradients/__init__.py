"""Losses of spike trains and their gradients."""
