"""An instant delivered as an image: the same bits as window by window, and the sums that the definition says."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from eventsnn import Conv2d
from eventsnn.compile import specialise
from eventsnn.projections import rowsum
from eventsnn.projections.conv2d import deliver_conv2d
from eventsnn.projections.frames import frame_pays, lay_out
from tests.properties.settings import examples


def always(spikes, pixels, kernel, channels, blocks):
    """Deliver every instant as an image."""
    return True


@st.composite
def cases(draw):
    """Return a convolution with whole weights, its source and target shapes, instants of spikes with whole amplitudes."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    kernel = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    shape = draw(st.integers(kernel[0], 7)), draw(st.integers(kernel[1], 9)), draw(st.integers(1, 3))
    padding = draw(st.sampled_from(["same", "valid"]) | st.tuples(st.integers(0, 6), st.integers(0, 6)))
    synapses = Conv2d(rng.integers(-3, 4, (*kernel, shape[2], draw(st.sampled_from([1, 5, 16, 33])))),
                      (draw(st.integers(1, 3)), draw(st.integers(1, 3))), padding)
    spikes = rng.random((draw(st.integers(1, 3)), *shape)) < draw(st.sampled_from([0.02, 0.3, 1.0]))
    return synapses, shape, synapses.output_shape(shape), spikes * rng.choice([-2.0, -1.0, 1.0, 3.0], spikes.shape)


def delivered(case, dtype, scaled, framed, before):
    """Return cells, marks, synaptic events and the scratch image after delivery at the second of two ports."""
    synapses, source, target, spikes = case
    steps, units, padded = len(spikes), target[0] * target[1], -(-target[2] // 16) * 16
    flat = np.zeros((int(np.prod(synapses.weights.shape[:3])), padded), dtype)
    flat[:, : target[2]] = synapses.weights.reshape(-1, target[2])
    size, first, places = lay_out(synapses, source, target)
    geometry = np.array([units, 2, 1, padded, target[2], *source, target[1], *synapses.weights.shape[:2], *synapses.stride,
                         *synapses.pads(*source[:2]), *first])  # fmt: skip
    at, ids = np.nonzero(spikes.reshape(steps, -1))
    unit_ptr = np.searchsorted(at * source[0] * source[1] + ids // source[2], np.arange(steps * source[0] * source[1] + 1))
    slack = np.zeros(16 + ids.size)
    amps = np.concatenate([spikes.reshape(steps, -1)[at, ids], slack[:16]]).astype(dtype) if scaled else np.ones(1, dtype)
    cells, marks = np.full((steps + 1, units, 2, padded), before, dtype), np.zeros((steps + 1, units), np.uint8)
    add = rowsum.add_near_scaled_rows if scaled else rowsum.add_near_rows
    hooks = {"frame_pays": always} if framed else {}
    kernel = specialise(deliver_conv2d, add_spikes=add, SCALED=scaled, FRAMED=framed, **hooks)
    frame = np.zeros(size, dtype)
    events = kernel(np.concatenate([ids, np.zeros(16)]).astype(np.int32), amps, unit_ptr.astype(np.int32),
                    np.array([*range(steps), -1]), flat.ravel(), cells.reshape(-1), marks, geometry, slack.astype(np.int32),
                    slack.astype(dtype), frame, places)  # fmt: skip
    return cells, marks, events, frame


@given(cases(), st.sampled_from([(np.float32, True), (np.float64, False)]), st.sampled_from([0.0, 0.1]))
@examples(80)
def test_an_image_gives_the_bits_of_its_windows(case, kind, before):
    dtype, scaled = kind
    windows, image = (delivered(case, dtype, scaled, framed, before) for framed in (False, True))
    assert windows[0].tobytes() == image[0].tobytes() and windows[1].tobytes() == image[1].tobytes()
    assert windows[2] == image[2] and not image[3].any()
    synapses, source, target, spikes = case
    assert image[2] == sum(synapses.fan_out(source, target)[np.flatnonzero(s)].sum() for s in spikes)
    if before == 0:
        (py, px), (ky, kx) = synapses.pads(*source[:2]), synapses.weights.shape[:2]
        wide = np.zeros((len(spikes), source[0] + 2 * py + ky, source[1] + 2 * px + kx, source[2]))
        wide[:, py : py + source[0], px : px + source[1]] = spikes if scaled else spikes != 0
        for y, x in np.ndindex(target[:2]):
            top, left = y * synapses.stride[0], x * synapses.stride[1]
            sums = np.tensordot(wide[:, top : top + ky, left : left + kx], synapses.weights, 3)
            assert (image[0][:-1, y * target[1] + x, 1, : target[2]] == sums).all()


def test_images_are_for_many_spikes_and_small_windows():
    assert frame_pays(400, 1024, 9, 3, 2) and frame_pays(3072, 1024, 9, 3, 4)
    assert not frame_pays(30, 1024, 9, 3, 2) and not frame_pays(800, 64, 9, 64, 8)
