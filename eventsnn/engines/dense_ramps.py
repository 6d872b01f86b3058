"""The walker for dense layers of linear ramps: a batch of samples, layer after layer, neurons in vector lanes.

Every arrival reaches all neurons of a layer, so time is shared: per arrival V += g dt, g += J, the same operations as neuron by
neuron, hence the same bits. What would cost most, asking after every arrival whether V has met its threshold, is replaced by
a bound over several arrivals: V cannot rise by more than max(g, 0) times their span plus what their largest weights could add.
Only where a neuron comes within the bound are its steps taken one by one.
"""

import numpy as np

from eventsnn.bits import row_of
from eventsnn.compile import specialise
from eventsnn.engines.borrow import borrowed
from eventsnn.engines.ordering import sort_events
from eventsnn.neurons.ramp_continuous import LinearRamp
from eventsnn.projections import Dense
from eventsnn.raster import SpikeRaster

LANES = 64
GROUP = 8  # arrivals per bound
V, G, THETA, SINCE, WIDTH = 0, 1, 2, 3, 8
FIRES, next_spike, potential = True, LinearRamp.next_spike, LinearRamp.potential  # replaced when compiled


def is_dense_chain(network, inputs):
    """Tell whether this walker can run a network: linear ramps, one dense projection without delay into each, no cycles."""
    incoming = {p.name: [] for p in network.populations}
    for projection in network.projections:
        if projection.target not in incoming or projection.delay or not isinstance(projection.synapses, Dense):
            return False
        incoming[projection.target].append(projection.source)
    known = {n for n, r in inputs.items() if isinstance(r, SpikeRaster)}
    for population in network.populations:  # in declared order: sources first
        model = population.model
        if not issubclass(model, LinearRamp) or len(incoming[population.name]) != 1 or incoming[population.name][0] not in known:
            return False
        known.add(population.name)
    return bool(network.populations) and len(known) == len(network.nodes)


def run_dense_chain(network, inputs, duration, samples):
    """Return ({population: (offsets, times, ids)}, {population: potentials}, {population: (synaptic events, updates)})."""
    spikes = {n: (r.offsets, r.times, r.ids.astype(np.uint32)) for n, r in inputs.items()}
    potentials, events = {}, {}
    for population in network.populations:
        projection = next(p for p in network.projections if p.target == population.name)
        spikes[population.name], potentials[population.name], events[population.name] = _layer(
            population, projection.synapses.weights, spikes[projection.source], duration, samples)
    return {p.name: spikes[p.name] for p in network.populations}, potentials, events


def _layer(population, weights, arriving, duration, samples):
    model, values = population.model, dict(population.parameters)
    scalars, constants = model.derive(values)
    record = np.zeros(1, [(n, np.float64) for n in scalars])
    for name, value in scalars.items():
        record[name] = value
    size = population.size
    blocks = -(-size // LANES)
    tiles = np.zeros((blocks, len(weights) + GROUP, LANES))  # the last rows: sums of simultaneous arrivals
    for block in range(blocks):
        part = weights[:, block * LANES : (block + 1) * LANES]
        tiles[block, : len(part), : part.shape[1]] = part
    largest = np.maximum(tiles.max(axis=2), 0.0)
    rows = np.zeros((blocks * LANES, WIDTH))
    rows[:, THETA] = np.inf
    rows[:size] = model.rows(values, size, WIDTH)
    last = np.nextafter(duration, np.inf) if model.closes else duration  # own spikes before this
    forced = scalars.get("t_close", np.inf) if model.closes else np.inf
    limits = np.array([duration, last, float(model.deaf_from(values)), forced])
    first, potentials = np.empty((samples, blocks * LANES)), np.empty((samples, blocks * LANES))
    hooks = {"next_spike": model.next_spike, "potential": model.potential, "WIDTH": WIDTH, **constants}
    p = record.view(np.recarray)[0]
    offsets, times, ids = arriving
    walk = specialise(walk_dense, FIRES=model.fires, **hooks)
    walk(offsets, times, ids, tiles.reshape(-1, LANES), largest.reshape(-1), tiles.shape[1], blocks, rows.reshape(-1), p, limits,
         first, potentials)
    out_offsets = np.zeros(samples + 1, np.int64)
    out_times, out_ids = np.empty(samples * size), np.empty(samples * size, np.uint32)
    spare = np.empty(size + 1), np.empty(size + 1, np.uint32), np.empty(size + 1)
    count = specialise(gather_spikes)(first, size, last, out_offsets, out_times, out_ids, np.empty(samples * size), *spare)
    heard, instants = specialise(count_before)(offsets, times, duration)
    return (out_offsets, out_times[:count], out_ids[:count]), potentials[:, :size], (heard * size, instants * size)


def walk_dense(offsets, times, ids, tiles, largest, n_rows, blocks, rows, p, limits, first, potential_out):
    """Run all samples through one layer, block of neurons by block; writes spike times (inf: silent) and potentials."""
    _walk(borrowed(offsets), borrowed(times), borrowed(ids), borrowed(tiles), borrowed(largest), n_rows, blocks, borrowed(rows),
          p, borrowed(limits), borrowed(first), borrowed(potential_out))


def _walk(offsets, times, ids, tiles, largest, n_rows, blocks, rows, p, limits, first, potential_out):
    row = np.empty(WIDTH)
    at, t_at, step = np.empty(GROUP, np.int64), np.empty(GROUP), np.empty(GROUP)
    v, g, theta = np.empty(LANES), np.empty(LANES), np.empty(LANES)
    for block in range(blocks):
        base = block * n_rows
        for sample in range(offsets.size - 1):
            since = rows[block * LANES * WIDTH + SINCE]
            for lane in range(LANES):
                b = (block * LANES + lane) * WIDTH
                v[lane], g[lane], theta[lane] = rows[b + V], rows[b + G], rows[b + THETA]
                first[sample, block * LANES + lane] = np.inf
            k, end = offsets[sample], offsets[sample + 1]
            while k < end and times[k] < limits[0] and times[k] < limits[2]:
                before, count, add, start = since, 0, 0.0, k
                while count < GROUP and k < end and times[k] < limits[0] and times[k] < limits[2]:
                    t = times[k]
                    source = np.int64(ids[k])
                    at[count] = base + source
                    k += 1
                    if k < end and times[k] == t:
                        target = base + n_rows - GROUP + count
                        row_of(tiles, target)[:] = row_of(tiles, at[count])
                        while k < end and times[k] == t:
                            add_row(row_of(tiles, base + np.int64(ids[k])), row_of(tiles, target))
                            k += 1
                        at[count] = target
                    t_at[count] = max(t, since)
                    step[count] = t_at[count] - since
                    since = t_at[count]
                    count += 1
                if FIRES:
                    for q in range(start, k):
                        add += largest[block * n_rows + np.int64(ids[q])] * (since - times[q])
                    span, near = since - before, 0
                    for lane in range(LANES):
                        rise = max(g[lane], 0.0) * span
                        near += v[lane] + rise + add + 1e-12 * (abs(v[lane]) + abs(g[lane]) * span + add) >= (
                            theta[lane] - 1e-12 * abs(theta[lane]))
                    if near or since >= limits[3]:
                        _step_by_step(tiles, at, t_at, count, before, v, g, theta, row, p, limits[1], first, sample,
                                      block * LANES)
                if count == GROUP:
                    _add_eight(row_of(tiles, at[0]), row_of(tiles, at[1]), row_of(tiles, at[2]), row_of(tiles, at[3]),
                               row_of(tiles, at[4]), row_of(tiles, at[5]), row_of(tiles, at[6]), row_of(tiles, at[7]),
                               step[0], step[1], step[2], step[3], step[4], step[5], step[6], step[7], v, g)
                else:
                    for q in range(count):
                        _add_one(row_of(tiles, at[q]), step[q], v, g)
            for lane in range(LANES):
                row[V], row[G], row[THETA], row[SINCE] = v[lane], g[lane], theta[lane], since
                if FIRES:
                    t = next_spike(row, 0, p)
                    if t < limits[1]:
                        first[sample, block * LANES + lane] = t
                potential_out[sample, block * LANES + lane] = potential(row, 0, limits[0], p)


def _step_by_step(tiles, at, t_at, count, since, v, g, theta, row, p, last, first, sample, lane_0):
    """Find the spikes within a group of arrivals, neuron by neuron; V and g stand as they were before it."""
    for lane in range(LANES):
        if theta[lane] == np.inf:
            continue
        row[V], row[G], row[THETA], row[SINCE] = v[lane], g[lane], theta[lane], since
        for q in range(count):
            t = next_spike(row, 0, p)
            if t <= t_at[q]:
                if t < last:
                    first[sample, lane_0 + lane] = t
                theta[lane] = np.inf
                break
            row[V] += row[G] * (t_at[q] - row[SINCE])
            row[G] += tiles[at[q], lane]
            row[SINCE] = t_at[q]


def add_row(source, target):
    """Add the weights of a simultaneous source."""
    for lane in range(LANES):
        target[lane] += source[lane]


def _add_one(w, step, v, g):
    for lane in range(LANES):
        v[lane] += g[lane] * step
        g[lane] += w[lane]


def _add_eight(w0, w1, w2, w3, w4, w5, w6, w7, d0, d1, d2, d3, d4, d5, d6, d7, v, g):
    """Take eight arrivals: per neuron V += g dt, g += J, in order."""
    for lane in range(LANES):
        u, s = v[lane], g[lane]
        u += s * d0
        s += w0[lane]
        u += s * d1
        s += w1[lane]
        u += s * d2
        s += w2[lane]
        u += s * d3
        s += w3[lane]
        u += s * d4
        s += w4[lane]
        u += s * d5
        s += w5[lane]
        u += s * d6
        s += w6[lane]
        u += s * d7
        s += w7[lane]
        v[lane], g[lane] = u, s


def gather_spikes(first, size, last, offsets, times, ids, extras, spare_times, spare_ids, spare_extras):
    """List the spikes of all samples, sorted by (time, id) within each; returns their number."""
    return _gather(borrowed(first), size, last, borrowed(offsets), borrowed(times), borrowed(ids), borrowed(extras),
                   borrowed(spare_times), borrowed(spare_ids), borrowed(spare_extras))


def _gather(first, size, last, offsets, times, ids, extras, spare_times, spare_ids, spare_extras):
    n = 0
    places = np.empty(size + 1, np.int64)
    for sample in range(first.shape[0]):
        begin, low, high = n, np.inf, -np.inf
        for i in range(size):
            t = first[sample, i]
            spare_times[n - begin], spare_ids[n - begin] = t, i
            if t < last:
                low, high, n = min(low, t), max(high, t), n + 1
        _spread(spare_times, spare_ids, n - begin, low, high, places, times, ids, begin)
        sort_events(times, ids, extras, begin, n, spare_times, spare_ids, spare_extras)
        offsets[sample + 1] = n
    return n


def _spread(from_times, from_ids, count, low, high, places, times, ids, begin):
    """Write spikes into `count` equal spans of time, ascending: nearly sorted, and stable."""
    scale = (count - 1) / (high - low) if high > low else 0.0
    places[:count + 1] = 0
    for k in range(count):
        places[int((from_times[k] - low) * scale) + 1] += 1
    for k in range(count):
        places[k + 1] += places[k]
    for k in range(count):
        span = int((from_times[k] - low) * scale)
        times[begin + places[span]], ids[begin + places[span]] = from_times[k], from_ids[k]
        places[span] += 1


def count_before(offsets, times, duration):
    """Return how many arrivals come before the end of the run, and at how many instants."""
    count = instants = 0
    for sample in range(offsets.size - 1):
        for k in range(offsets[sample], offsets[sample + 1]):
            if times[k] < duration:
                count += 1
                instants += k == offsets[sample] or times[k] != times[k - 1]
    return count, instants


