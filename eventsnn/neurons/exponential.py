"""An exponential of a few plain additions and multiplications: the same bits on every machine, alone or in a vectorised loop.

With k = round(x / log 2) and r = x - k log 2, |r| <= 0.35: exp(x) = 2^k exp(r), exp(r) by its Taylor series to r^13, which leaves
4e-18. log 2 is taken off in two parts (Cody & Waite, Software Manual for the Elementary Functions, 1980).
"""

import numpy as np

LOG2_E = 1.4426950408889634
LOG2_HIGH, LOG2_LOW = 0.6931471803691238, 1.9082149292705877e-10  # the high part has 32 bits: k times it is exact
SHIFT = 6755399441055744.0  # 1.5 * 2^52: added, it leaves the nearest integer in the last bits
C2, C3, C4, C5, C6, C7 = 1 / 2, 1 / 6, 1 / 24, 1 / 120, 1 / 720, 1 / 5040
C8, C9, C10, C11, C12, C13 = 1 / 40320, 1 / 362880, 1 / 3628800, 1 / 39916800, 1 / 479001600, 1 / 6227020800
LOWEST, HIGHEST = -708.0, 709.0


def exp(x):
    """Return e^x to within an ulp; 0 below -708, inf above 709."""
    z = np.float64(x * LOG2_E + SHIFT)
    k = z - SHIFT
    r = (x - k * LOG2_HIGH) - k * LOG2_LOW
    s = r * r
    f = s * s
    low = (C2 + C3 * r) + s * (C4 + C5 * r)
    middle = (C6 + C7 * r) + s * (C8 + C9 * r)
    high = (C10 + C11 * r) + s * (C12 + C13 * r)
    series = 1.0 + (r + s * (low + f * (middle + f * high)))
    scale = np.int64((z.view(np.int64) + 1023) << 52).view(np.float64)
    return 0.0 if x < LOWEST else (np.inf if x > HIGHEST else series * scale)
