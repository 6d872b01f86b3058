"""Time to first spike with exponential kernels (T2FSNN): the threshold falls, so the larger potential spikes earlier.

Time is counted in steps n from the opening of the layer's fire window, 0 <= n < T_fd (`window`). With τ, td the layer's
kernel, θ0 the threshold at n = td, h = 0.5 with `half_step` and 0 without::

    threshold   θ(n) = θ0 exp(-(n + h - td) / τ)      float64, rounded once to the population's dtype
    spike       at the smallest n with V >= θ(n); none in the window: silent
    amplitude   ε(n) = exp(-(n - td') / τ')           what the spike carries: its weight x ε arrives

The next layer decodes a spike with the kernel of the layer that sent it, so τ' = τ, td' = td (`tau_out`, `td_out` change
that), and the value that arrives is V / θ0 rounded down by less than a factor e^(1/τ); with `half_step` to the nearest.

`ttfs` is gated: all input has arrived when its window opens, V = Σ w ε + b. `ttfs_early` fires on the grid while input
still arrives (T_fs < T_fd): every step adds what arrives in the integration window and then looks at the threshold.

Source: Park et al., T2FSNN, DAC 2020, DOI 10.1109/DAC18072.2020.9218689, equations (1)-(6); θ0 as in its released code.
"""

import numpy as np

from eventsnn.neurons.base import NEVER, SILENT, SPIKE, GatedModel, GridModel, Param, Switch, register

V, FIRST = 0, 1
BIAS = 0
HAS_BIAS = ROBUST = False
SHIFT = 17  # bits of a float32 below those that name a bucket: 64 buckets from one power of two to the next
TABLE, WINDOW = 512, 128  # tables are padded to multiples, so that layers of different kernels share compiled code


def kernel_tables(steps, tau, td=0.0, theta0=1.0, half_step=False, tau_out=0.0, td_out=0.0):
    """Return threshold and amplitude of every step of a fire window.

    Parameters
    ----------
    steps : int
        T_fd, length of the window.
    tau, td : float
        Time constant (> 0) and delay of the kernel, steps.
    theta0 : float
        Threshold at n = td (without half_step).
    half_step : bool
        Look at the threshold half a step later: round to nearest in time.
    tau_out, td_out : float
        Kernel of the amplitude, where it is another one; tau_out = 0: the same.

    Returns
    -------
    tuple of numpy.ndarray, float64, shape (steps,)
        Thresholds and amplitudes; both fall with n.
    """
    n = np.arange(int(steps), dtype=np.float64)
    tau_out, td_out = (tau_out, td_out) if tau_out else (tau, td)
    with np.errstate(over="ignore", under="ignore"):
        return theta0 * np.exp(-(n + (0.5 if half_step else 0.0) - td) / tau), np.exp(-(n - td_out) / tau_out)


def buckets(threshold):
    """Return (first bucket, table): the first step that a potential in each bucket of float32 numbers may spike at."""
    edges = threshold.astype(np.float32).view(np.int32) >> SHIFT
    low, high = int(edges.min()), int(edges.max())
    names = np.arange(low, low + -(-(high - low + 1) // TABLE) * TABLE, dtype=np.int64)
    top = ((np.minimum(names, high) + 1) << SHIFT).astype(np.int32).view(np.float32)  # smallest number above the bucket
    return low, np.minimum((threshold.astype(np.float32)[None] >= top[:, None]).sum(axis=1), threshold.size - 1)


def _first_step(v, p):
    """Return the smallest n with v >= threshold[n]; v is at least the last threshold."""
    bucket = (np.float32(v).view(np.int32) >> SHIFT) - np.int64(p.bucket)
    n = np.int64(p.start[min(bucket, p.start.size - 1)])
    while v < p.threshold[n]:
        n += 1
    return n


def _derive(values, steps):
    threshold, amplitude = kernel_tables(steps, *(values[k] for k in ("tau", "td", "theta0", "half_step", "tau_out", "td_out")))
    first, start = buckets(threshold)
    padding = (0, -threshold.size % WINDOW)
    return {**values, "threshold": np.pad(threshold, padding, "edge"), "amplitude": np.pad(amplitude, padding, "edge"),
            "start": start, "bucket": float(first), "lowest": float(threshold[-1])}


def _check(values, steps):
    if steps != int(steps) or steps < 1:
        return f"window must be a whole number of steps >= 1, got {steps:g}"
    if not values["tau_out"] and values["td_out"]:
        return "td_out belongs to tau_out: give both, or neither"
    for name, table in zip(("threshold", "amplitude"), kernel_tables(
            steps, *(values[k] for k in ("tau", "td", "theta0", "half_step", "tau_out", "td_out")))):
        if not (table[-1] >= 1e-35 and table[0] <= 1e35):
            return (f"tau = {values['tau']:g} and td = {values['td']:g} give an {name} from {table[0]:g} to {table[-1]:g} in "
                    f"{steps:g} steps, which a float32 cannot hold; take a longer tau or a shorter window")
    return None


KERNEL = (
    Param("tau", 20.0, "time constant of the kernel, steps", low=1e-3, high=1e6),
    Param("td", 0.0, "delay of the kernel, steps", low=-1e6, high=1e6),
    Param("theta0", 1.0, "threshold at step td", low=1e-6, high=1e6),
    Param("bias", 0.0, "bias of the equivalent ReLU unit", per_neuron=True),
    Param("tau_out", 0.0, "time constant of the amplitude, steps; 0: tau and td", low=0.0, high=1e6),
    Param("td_out", 0.0, "delay of the amplitude, steps", low=-1e6, high=1e6),
)
HALF_STEP = Switch("half_step", "HALF_STEP", False, (False, True), "look at the threshold half a step later")


@register
class Ttfs(GatedModel):
    """Time-to-first-spike neuron with a falling threshold, after all of its input has arrived."""

    name = "ttfs"
    carries_time = False
    parameters = (
        Param("t_open", 80.0, "when the fire window opens, ms", low=0.0),
        Param("window", 80.0, "length T_fd of the fire window, ms", low=np.finfo(np.float32).tiny),
        Param("dt", 1.0, "length of a step, ms", low=np.finfo(np.float32).tiny),
        *KERNEL,
    )
    switches = (HALF_STEP,)
    arrays = ("threshold", "amplitude", "start")

    @classmethod
    def derive(cls, values):
        return _derive(values, steps_of(values)), {}

    @classmethod
    def check(cls, values):
        steps = values["window"] / values["dt"]
        if abs(steps - np.rint(steps)) > 1e-6:
            return f"window must be whole steps of {values['dt']:g} ms, got {values['window']:g} ms"
        return _check(values, np.rint(steps))

    @staticmethod
    def guard(state, i, inputs, p, maps):
        v = inputs[0, i] + maps[BIAS, i]
        state[V, i] = v
        return v >= p.lowest

    @staticmethod
    def fire(state, i, inputs, p, maps):
        v = inputs[0, i] + maps[BIAS, i]
        state[V, i] = v
        fired = v >= p.lowest
        n = _first_step(v, p) if fired else 0
        return (SPIKE if fired else SILENT), n * p.dt, p.amplitude[n]


def steps_of(values):
    """Return T_fd, the length of the fire window of a `ttfs` population in steps."""
    return int(np.rint(values["window"] / values["dt"]))


@register
class TtfsReadout(GatedModel):
    """Output of a gated TTFS network: integrates until `t_open`, never fires, is read then: V = Σ w ε + b."""

    name = "ttfs_readout"
    carries_time = False
    fires = False
    parameters = (
        Param("t_open", 80.0, "when the potential is read, ms", low=0.0),
        Param("bias", 0.0, "added to the potential", per_neuron=True),
    )

    @staticmethod
    def fire(state, i, inputs, p, maps):
        state[V, i] = inputs[0, i] + maps[BIAS, i]
        return SILENT, inputs[0, i], inputs[0, i]


def _step(state, i, inputs, t, p, maps):
    """One instant: integrate inside the integration window, then fire inside the fire window."""
    v, first = state[V, i], np.int64(state[FIRST, i])
    n = t - np.int64(p.t_listen)
    window = np.int64(p.window)
    u = v + inputs[0, i] if 0 <= n < window else v
    if HAS_BIAS:
        u = u + maps[BIAS, i] if t == 0 else u
    n = t - np.int64(p.t_open)
    inside = 0 <= n < window
    n = n if inside else 0
    again = first == 0
    last = again
    if ROBUST:
        extra = np.int64(p.extra)
        again = again or t < first + extra
        last = t == first + extra - 1 if first != 0 else extra == 0
    fired = inside and again and u >= p.threshold[n]
    state[FIRST, i] = t + 1 if fired and first == 0 else first
    state[V, i] = u - u if fired and last else u
    return p.amplitude[n] if fired else 0


def _wake(state, i, t, p, maps):
    """The step at which the falling threshold meets the potential, if nothing more arrives."""
    v, first = state[V, i], np.int64(state[FIRST, i])
    opens = np.int64(p.t_open)
    if t + 1 >= opens + np.int64(p.window):
        return NEVER
    if first != 0:
        return t + 1 if ROBUST and t + 1 < first + np.int64(p.extra) else NEVER
    return max(t + 1, opens + _first_step(v, p)) if v >= p.lowest else NEVER


@register
class TtfsEarly(GridModel):
    """Time-to-first-spike neuron with a falling threshold that may fire while its input still arrives (early firing)."""

    name = "ttfs_early"
    variables = (("v", 0.0), ("first", 0.0))  # first: 1 + the step of the first spike, 0 before it
    unit_amplitude = False
    parameters = (
        Param("t_listen", 0, "start of the integration window, step; it is as long as the fire window", low=0),
        Param("t_open", 40, "start of the fire window, step", low=0),
        Param("window", 80, "length T_fd of both windows, steps", low=1, high=2**22),
        *KERNEL,
        Param("extra", 0, "further spikes in the steps after the first, while V >= θ(n): noise-robust TTFS", low=0),
    )
    switches = (HALF_STEP,)
    arrays = ("threshold", "amplitude", "start")
    IDLE = True
    step = staticmethod(_step)
    wake = staticmethod(_wake)

    @classmethod
    def derive(cls, values):
        constants = {"HAS_BIAS": bool(np.any(values["bias"])), "ROBUST": values["extra"] > 0}
        return _derive(values, values["window"]), constants

    @classmethod
    def amplitude_range(cls, values):
        return 0.0, float(np.max(_derive(values, values["window"])["amplitude"]))

    @classmethod
    def most_spikes(cls, values):
        return 1 + values["extra"]

    @classmethod
    def check(cls, values):
        for name in ("t_listen", "t_open", "extra"):
            if values[name] != int(values[name]):
                return f"{name} must be a whole number of steps, got {values[name]:g}"
        return _check(values, values["window"])
