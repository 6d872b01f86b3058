"""Event-driven, exact, sparse simulation of spiking neural networks."""

__version__ = "0.1.0"

_PUBLIC = {
    "SpikeRaster": "raster",
    "Network": "network", "Input": "network", "Population": "network", "Projection": "network", "Relay": "network",
    "BiasDrive": "network", "Readout": "network",
    "Dense": "projections", "Conv2d": "projections", "Sparse": "projections", "SparseMs": "projections",
    "AveragePool": "relays", "GatedMaxPool": "relays", "EarliestPool": "relays", "StepMaxPool": "relays",
    "GridModel": "neurons", "GatedModel": "neurons",
    "ContinuousModel": "neurons.continuous", "Param": "neurons", "Switch": "neurons", "register": "neurons",
    "Drive": "encoders.base", "PoissonTimes": "engines.continuous_spikes",
    "run": "engines", "RunResult": "engines", "prepare": "engines",
    "EventsnnError": "errors",
}

__all__ = sorted([*_PUBLIC, "__version__"])


def __getattr__(name):
    # imported at first use: `import eventsnn` stays fast and brings in neither numba nor scipy
    if name not in _PUBLIC:
        raise AttributeError(f"module 'eventsnn' has no attribute {name!r}")
    import importlib

    value = getattr(importlib.import_module(f"eventsnn.{_PUBLIC[name]}"), name)
    globals()[name] = value
    return value


def __dir__():
    return __all__
