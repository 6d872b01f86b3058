"""ReLU network to time-to-first-spike neurons with exponential kernels: T2FSNN, with and without early firing."""

import numpy as np

from eventsnn.conversion.fold import fold_batch_norm
from eventsnn.conversion.kernels import IN, Kernels
from eventsnn.conversion.normalise import normalise
from eventsnn.conversion.segments import cut
from eventsnn.conversion.t2fsnn_build import CLOCKS, READOUTS, Coding, build, check_pools
from eventsnn.errors import ModelError
from eventsnn.relays import Deletion, Jitter
from eventsnn.settings import check_choice, check_number

QUIRKS = ("output_decode",)


def to_t2fsnn(
    graph, calibration_x, *, tau=20.0, kernels=None, t_fire_start=80, t_fire_duration=80, in_tau=False, half_step=False,
    theta0=1.0, analog=False, readout="membrane", robust=None, noise=None, clock="auto", dt_ms=1.0, dtype="float32",
    calibration="calibration", rule="neuron_percentile", percentile=99.9, output=True, statistics=None, quirks=(),
):  # fmt: skip
    """Convert a trained ReLU network to neurons that spike at most once, the earlier the larger their activation.

    Parameters
    ----------
    graph : LayerGraph
        Trained network, inputs in [0, 1]; batch norm is folded, dropout left out.
    calibration_x : array_like, shape (n, *input_shape)
        Inputs from which the scales are taken.
    tau : float, optional
        Time constant of all kernels, steps, where ``kernels`` are not given; td = 0.
    kernels : Kernels, optional
        One kernel for the input and each hidden layer, as `optimise_kernels` finds them.
    t_fire_start : number, optional
        T_fs: steps from the opening of a layer's fire window to that of the next layer's. Shorter than t_fire_duration:
        early firing, a layer fires while its input still arrives.
    t_fire_duration : number, optional
        T_fd: steps of every fire window.
    in_tau : bool, optional
        Both are multiples of ``tau`` instead of steps.
    half_step : bool, optional
        Round spike times to the nearest step instead of the next one.
    theta0 : float, optional
        Threshold at step td; the decoded activation is divided by it in every layer.
    analog : bool, optional
        The values themselves enter, at the first step (``ttfs_kernel.analog``): they cannot be lost or late, so ``noise`` and its
        compensation leave them alone.
    readout : {"membrane", "first_spike", "count"}, optional
        Potential of the output at the end; or the output layer fires, too, T_fs later.
    robust : int, optional
        Noise-robust TTFS: hidden neurons may fire in so many further steps; weights are scaled by 1 / sum of the kernel
        over these steps, and by 1 / (1 - probability) where ``noise`` deletes spikes.
    noise : Deletion or Jitter, optional
        Acts on the spikes of the input (unless ``analog``) and of every hidden layer.
    clock : {"auto", "gated", "grid"}, optional
        ``gated`` needs t_fire_start >= t_fire_duration and at most one spike; ``auto`` takes it where it can.
    dt_ms : float, optional
        Length of a step, ms.
    dtype : {"float32", "float64"}, optional
        Precision of the populations and weights.
    calibration, rule, percentile, output, statistics
        See ``normalise``; a readout of spikes needs ``output``.
    quirks : collection of str, optional
        Deviations of the released code: ``output_decode`` (the output decodes with tau and td = 0 whatever kernel the last
        hidden layer fires with).

    Returns
    -------
    tuple of Network and dict
        The network, and the report: scale, kernel and fire window of each layer; ``latency_steps``; the arguments ``input``
        with which ``ttfs_kernel.encode`` codes its input.

    Raises
    ------
    ModelError
        If a layer cannot be converted (named), or an option is out of range.

    Notes
    -----
    Layer l integrates in [(l - 1) T_fs, (l - 1) T_fs + T_fd) and fires in [l T_fs, l T_fs + T_fd); latency
    D = (L - 1) T_fs + T_fd of L weight layers, L T_fs + T_fd where the output fires. A max pool passes the earliest spike of
    its window, an average pool each with its share (neural-coding 2.6 - 2.9, F27 - F31, F47 - F51).
    """
    _check_kinds(tau, kernels, noise, {"in_tau": in_tau, "half_step": half_step, "analog": analog})
    start, duration = window_steps(t_fire_start, t_fire_duration, tau if in_tau else None)
    coding = Coding(start, duration, half_step, theta0, analog, readout, robust, noise, clock, dt_ms, dtype)
    check_options(coding, tau, quirks)
    if readout != "membrane" and not output:
        raise ModelError(f"conversion: readout '{readout}' needs outputs scaled to [0, 1], got output = False")
    normalised, report = normalise(fold_batch_norm(graph), calibration_x, calibration=calibration, rule=rule,
                                   percentile=percentile, output=output, statistics=statistics, dtype="float64")  # fmt: skip
    kernels, last = kernels_for(normalised, kernels, tau)
    decode = {last: (float(tau), 0.0)} if "output_decode" in quirks and last is not None else {}
    network, rows = build(normalised, kernels, coding, tau=tau, decode=decode)
    scales = {row["layer"]: row["scale"] for row in report.pop("layers")}
    layers = [{**row, "scale": scales.get(row["layer"], 1.0), **_decoding(row, robust)} for row in rows]
    given = {"tau": kernels.tau[IN], "td": kernels.td[IN], "window": duration, "theta0": float(theta0),
             "half_step": half_step, "dt_ms": float(dt_ms), "grid": network.clock == "grid",
             "duration": coding.steps(len(rows)), "dtype": dtype}  # fmt: skip
    return network, {
        "mapping": "t2fsnn", **report, "clock": "grid" if given["grid"] else "gated", "t_fire_start": start,
        "t_fire_duration": duration, "early_firing": start < duration, "half_step": half_step, "analog": analog,
        "readout": readout, "robust": robust, "noise": None if noise is None else noise.describe(), "quirks": sorted(quirks),
        "layers": layers, "latency_steps": coding.steps(len(rows)), "latency": coding.steps(len(rows)) * float(dt_ms),
        "input": given,
    }  # fmt: skip


def _check_kinds(tau, kernels, noise, switches):
    check_number(tau, "(0, inf)", "conversion: tau")
    for name, value in switches.items():
        check_choice(value, (True, False), f"conversion: {name}")
    if not isinstance(kernels, Kernels | None):
        raise ModelError(f"conversion: kernels must be Kernels or none, got {kernels!r}")
    if not isinstance(noise, Deletion | Jitter | None):
        raise ModelError(f"conversion: noise must be Deletion(...), Jitter(...) or none, got {noise!r}")


def _decoding(row, robust):
    """Say how spikes are read as activations: by the amplitude of the one spike (see `conversion.report`)."""
    if robust is not None or row["tau"] is None:
        return {}
    return {"decode": {"per": None, "largest": float(np.exp(row["td"] / row["tau"]))}}


def window_steps(t_fire_start, t_fire_duration, tau=None):
    """Return T_fs and T_fd in whole steps.

    Parameters
    ----------
    t_fire_start, t_fire_duration : number
        Steps, or multiples of ``tau`` where that is given (rounded to whole steps).
    tau : float, optional

    Returns
    -------
    tuple of int

    Raises
    ------
    ModelError
        If one is not a whole number >= 1.
    """
    found = []
    for name, value in (("t_fire_start", t_fire_start), ("t_fire_duration", t_fire_duration)):
        check_number(value, "(0, inf)", f"conversion: {name}")
        steps = value if tau is None else float(np.rint(value * tau))
        if not 1 <= steps <= 2**22 or steps != int(steps):
            raise ModelError(f"conversion: {name} must be a whole number of steps from 1 to {2**22}, got {steps:g}")
        found.append(int(steps))
    return tuple(found)


def check_options(coding, tau, quirks=()):
    """Raise ModelError where an option is unknown or out of range, or two contradict each other."""
    for name, value, allowed in (("readout", coding.readout, READOUTS), ("clock", coding.clock, CLOCKS),
                                 ("dtype", coding.dtype, ("float32", "float64")),
                                 *(("quirks", quirk, QUIRKS) for quirk in quirks)):  # fmt: skip
        check_choice(value, allowed, f"conversion: {name}")
    for name, value in (("tau", tau), ("theta0", coding.theta0), ("dt_ms", coding.dt_ms)):
        check_number(value, "(0, inf)", f"conversion: {name}")
    check_number(coding.robust, "[0, inf)", "conversion: robust", int | None)
    if coding.clock == "gated" and coding.start < coding.duration:
        raise ModelError(f"conversion: clock 'gated' needs t_fire_start >= t_fire_duration, got {coding.start} < "
                         f"{coding.duration} (early firing); use clock 'grid'")  # fmt: skip
    if coding.clock == "gated" and coding.robust:
        raise ModelError("conversion: gated neurons fire once; robust TTFS needs clock 'grid'")


def kernels_for(normalised, kernels, tau):
    """Return the kernels of a network (by default all of time constant tau) and the name of its last hidden layer."""
    head, segments = cut(normalised)
    check_pools(head, segments)
    names = [s.name for s in segments if not s.is_output]
    if IN in names:
        raise ModelError(f"layer '{IN}': that name is the input's in kernel files; rename the layer")
    found = Kernels.uniform(names, tau) if kernels is None else kernels.for_layers(names)
    return found, names[-1] if names else None
