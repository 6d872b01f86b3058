"""When a membrane that is driven by one exponential current crosses its threshold: exact to rounding, never missed.

With V measured from the resting potential and i the current in mV::

    tau_mem dV/dx = i(x) - V,    i(x) = i e^(-x / tau_syn)

V has at most one extremum. Where V rises with i > 0 it is concave. So: exclude cheaply, find the maximum in closed form, then
iterate in a bracket. Nothing here is singular at equal time constants.
"""

from math import exp, expm1, inf, log1p, sqrt

EPS = 2.220446049250313e-16


def state_after(v, i, x, tau_mem, tau_syn):
    """Return (V, i) after `x` ms without input; i to within an ulp of its value now."""
    slow, difference = max(tau_mem, tau_syn), abs(1.0 / tau_syn - 1.0 / tau_mem)
    decay, short = exp(-x / slow), -expm1(-x * difference)
    if tau_mem >= tau_syn:
        mem, syn = decay, decay * (1.0 - short)
    else:
        mem, syn = exp(-x / tau_mem), decay
    if difference * x == 0.0:
        return v * mem + i * x / tau_mem * mem, i * mem
    return v * mem + i * decay * short / (tau_mem * difference), i * syn


def largest_response(tau_mem, tau_syn):
    """Return the largest V that i = 1 causes from V = 0: (tau_mem / tau_syn) ^ (-tau_mem / (tau_mem - tau_syn)), or 1 / e."""
    r = tau_syn / tau_mem - 1.0  # the exponent is log(1 + r) / r: no singularity at equal constants
    if r == 0.0:
        return exp(-1.0)
    return exp(-log1p(r) / r)


def bound(v, i, theta, error, tau_mem, largest):
    """Return a time before which V does not reach `theta`, or inf; needs no exponential.

    `error` is what V may be wrong by. 1. Even the whole current on top of V does not reach theta. 2. V falls. 3. V rises at
    most at its present slope.
    """
    drive = max(i, 0.0)
    reach, rise = max(v, 0.0) + drive * largest, drive - v
    # selections, no branches: which of the three holds cannot be foretold
    never = (reach < theta * (1.0 - 1e-12) - error) | ((rise <= 0.0) & (v < theta - error))
    left = theta - v - error - 1e-15 * (abs(v) + abs(theta) + drive)
    return max(inf if never else 0.0, tau_mem * left / (rise if rise > 0.0 else inf) * (1.0 - 1e-12))


def crossing(v, i, theta, tau_mem, tau_syn):
    """Return the first x >= 0 at which V(x) reaches `theta`, or inf."""
    if v >= theta:
        return 0.0
    rise, c = i - v, i * tau_syn + v * (tau_mem - tau_syn)
    low = 0.0
    if rise > 0.0 and i > 0.0 and c > 0.0:  # a maximum lies ahead
        z = (tau_mem - tau_syn) * rise / c
        high = tau_mem * tau_syn * rise / c * (log1p(z) / z if z != 0.0 else 1.0)
        top = state_after(v, i, high, tau_mem, tau_syn)[0]
        if top < theta:
            return inf
        x = tau_mem * (theta - v) / rise  # the tangent now; near the top its parabola is closer
        if top > 0.0:
            x = max(x, high - sqrt(2.0 * (top - theta) / top * tau_mem * tau_syn))
        x = min(x, high)
    elif theta >= 0.0:
        return inf
    else:  # V comes to rest above theta, from below
        high = max(tau_mem, tau_syn)
        while state_after(v, i, high, tau_mem, tau_syn)[0] < theta:
            low, high = high, 2.0 * high
        x = 0.5 * (low + high)
    return refine(v, i, theta, x, low, high, tau_mem, tau_syn)


def refine(v, i, theta, x, low, high, tau_mem, tau_syn):
    """Return the crossing in [low, high] by Halley steps from `x`, halving where they leave the bracket."""
    close = EPS * max(abs(theta), EPS * (abs(v) + abs(i)))
    for _ in range(200):
        here, current = state_after(v, i, x, tau_mem, tau_syn)
        f = here - theta
        if f < 0.0:
            low = x
        else:
            high = x
        if abs(f) <= close or high - low <= EPS * high:
            break
        slope = (current - here) / tau_mem
        new = 0.5 * (low + high)
        if slope > 0.0:
            step = f / slope
            bend = 0.5 * step * (current / tau_syn + slope) / (tau_mem * slope)  # - V'' / V' = (i / tau_syn + V') / (tau_mem V')
            new = x - step / (1.0 + bend) if abs(bend) < 0.5 else x - step
        if abs(new - x) <= EPS * x:
            break
        if not low < new < high:
            new = 0.5 * (low + high)
        x = new
    return x
