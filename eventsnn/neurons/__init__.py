"""Neuron models: the contract in `base`, then one small file per family of models."""

from eventsnn.neurons.base import GatedModel, GridModel, Param, Switch, find_model, model_names, register

__all__ = ["GatedModel", "GridModel", "Param", "Switch", "find_model", "model_names", "register"]
