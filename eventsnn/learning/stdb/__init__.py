"""Surrogate gradients through the steps of a hybrid network (STDB, DIET-SNN)."""
