"""Two-dimensional convolution (cross-correlation, as in every deep-learning library), event by event."""

from dataclasses import dataclass

import numpy as np

from eventsnn.errors import NetworkError
from eventsnn.projections.copying import copy_plus
from eventsnn.projections.frames import deliver_frame, frame_pays
from eventsnn.projections.rowsum import LANE
from eventsnn.projections.rowsum import add_rows as add_spikes  # the default of the hook in deliver_conv2d
from eventsnn.settings import as_numbers, check_number


@dataclass(frozen=True, eq=False)
class Conv2d:
    """Convolutional synapses between populations of shape (y, x, channel).

    Parameters
    ----------
    weights : array_like, (kernel height, kernel width, channels in, channels out)
        Finite weights, rounded to the target's dtype when they are laid out; not copied.
    stride : int or (int, int)
        Step of the kernel in y and x, at least 1.
    padding : {"same", "valid"} or int or (int, int)
        ``"valid"``: none. ``"same"``: the output has ceil(size / stride) rows; an odd surplus goes below and right. A
        number: so many silent rows and columns on every side; a pair: rows, columns.

    Raises
    ------
    NetworkError
        If the weights are no numbers or have another shape, or stride or padding are not allowed.
    """

    weights: np.ndarray
    stride: object = 1
    padding: object = "same"

    def __post_init__(self):
        weights = as_numbers(self.weights, "Conv2d weights", error=NetworkError)
        if weights.ndim != 4 or weights.size == 0:
            raise NetworkError("Conv2d weights must have shape (kernel height, kernel width, channels in, channels "
                               f"out), got {weights.shape}")
        object.__setattr__(self, "weights", weights)
        object.__setattr__(self, "stride", self._pair("stride, a whole number or a pair,", self.stride, 1))
        if not isinstance(self.padding, str) or self.padding not in ("same", "valid"):
            what = "padding, 'same', 'valid', a whole number or a pair,"
            object.__setattr__(self, "padding", self._pair(what, self.padding, 0))

    @staticmethod
    def _pair(what, value, least):
        pair = tuple(value) if isinstance(value, tuple | list | np.ndarray) and len(value) == 2 else (value, value)
        for number in pair:
            check_number(number, f"[{least}, {2**31 - 1}]", f"Conv2d {what}", int, NetworkError)
        return tuple(map(int, pair))

    @property
    def delays(self):
        """No delays of its own."""
        return None

    def pads(self, height, width):
        """Return the silent rows above and columns left of the image."""
        if self.padding == "valid":
            return 0, 0
        if self.padding != "same":
            return self.padding
        surplus = []
        for size, kernel, stride in zip((height, width), self.weights.shape[:2], self.stride):
            surplus.append(max((-(-size // stride) - 1) * stride + kernel - size, 0) // 2)
        return tuple(surplus)

    def output_shape(self, source_shape):
        """Return (y, x, channel) of the target for a source of shape (y, x, channel)."""
        height, width, _ = source_shape
        if self.padding == "same":
            rows, columns = -(-height // self.stride[0]), -(-width // self.stride[1])
        else:
            py, px = self.pads(height, width)
            rows = (height + 2 * py - self.weights.shape[0]) // self.stride[0] + 1
            columns = (width + 2 * px - self.weights.shape[1]) // self.stride[1] + 1
        return rows, columns, self.weights.shape[3]

    def check(self, source_shape, target_shape):
        """Return a sentence saying what does not fit, or None."""
        if len(source_shape) != 3:
            return f"Conv2d needs a source of shape (y, x, channel), got {source_shape}"
        if source_shape[2] != self.weights.shape[2]:
            return f"Conv2d weights are for {self.weights.shape[2]} channels, the source has {source_shape[2]}"
        wanted = self.output_shape(source_shape)
        if min(wanted) < 1:
            return f"a kernel of {self.weights.shape[:2]} does not fit a source of shape {source_shape}"
        if tuple(target_shape) != wanted:
            return f"Conv2d gives shape {wanted}, the target has {tuple(target_shape)}"
        return None

    def fan_out(self, source_shape, target_shape):
        """Return synapses per source, border-exact, (n_sources,)."""
        counts = []
        for axis in range(2):
            size, kernel, stride = source_shape[axis], self.weights.shape[axis], self.stride[axis]
            first = np.arange(target_shape[axis]) * stride - self.pads(*source_shape[:2])[axis]
            at = np.arange(size)[:, None] - first[None, :]
            counts.append(((at >= 0) & (at < kernel)).sum(axis=1))
        pixels = np.multiply.outer(*counts) * target_shape[2]
        return np.repeat(pixels.ravel(), source_shape[2]).astype(np.int64)


def deliver_conv2d(ids, amps, unit_ptr, source_rows, weights, cells, marks, geometry, rows, row_amps, frame, places):
    """For every target pixel: collect the weight rows of the spikes under its kernel, add them in ascending source.

    The sources of one kernel row are a contiguous piece of the sorted spike list, and their weight rows are id plus a
    constant, whatever the stride. `unit_ptr` are the offsets per (row, source pixel); `rows`, `row_amps` and `frame` are
    scratch. The spike lists have 16 entries of slack behind their end, the scratch too.
    Returns the number of synaptic events.
    """
    units, ports, port, padded, out_channels = geometry[0], geometry[1], geometry[2], geometry[3], geometry[4]
    height, width, channels, out_width = geometry[5], geometry[6], geometry[7], geometry[8]
    kernel_y, kernel_x, stride_y, stride_x = geometry[9], geometry[10], geometry[11], geometry[12]
    pad_y, pad_x = geometry[13], geometry[14]
    events = 0
    for r in range(source_rows.size):
        if source_rows[r] < 0:
            continue
        first = source_rows[r] * height * width
        arrived = unit_ptr[first + height * width] - unit_ptr[first]
        if arrived == 0:
            continue
        if FRAMED and frame_pays(arrived, height * width, kernel_y * kernel_x, channels, padded // LANE):
            here = cells[r * units * ports * padded:]
            events += deliver_frame(ids, amps, unit_ptr[first:], weights, here, marks[r], geometry, frame, places)
            continue
        for y in range(units // out_width):
            y0 = y * stride_y - pad_y
            low, high = max(0, -y0), min(kernel_y, height - y0)
            for x in range(out_width):
                x0 = x * stride_x - pad_x
                left = min(max(x0, 0), width)
                right = max(min(x0 + kernel_x, width), left)
                m = 0
                for ky in range(low, high):
                    pixel = (y0 + ky) * width
                    a, b = unit_ptr[np.uint64(first + pixel + left)], unit_ptr[np.uint64(first + pixel + right)]
                    base = (ky * kernel_x - pixel - x0) * channels
                    copy_plus(ids, a, rows, m, b - a, base)
                    if SCALED:
                        copy_plus(amps, a, row_amps, m, b - a, 0)
                    m += b - a
                if m > 0:
                    unit = y * out_width + x
                    at = ((r * units + unit) * ports + port) * padded
                    add_spikes(cells, at, weights, 0, padded, rows, row_amps, m, padded)
                    marks[r, unit] = 1
                    events += m * out_channels
    return events


SCALED = False  # replaced when compiled: whether spikes have amplitudes
FRAMED = False  # replaced when compiled: whether instants of many spikes are delivered as images
