"""Answering one spike pattern with another: quantised, under a van Rossum loss."""
