"""Time and memory of a run, estimated from sizes by a stated model before anything runs."""

import numpy as np

# rounded up from perf/bench_rate_conv.py and perf/bench_conv2d.py on a recent core: an order of magnitude, not a promise
NS_PER_SYNAPTIC_EVENT = 0.3
NS_PER_UPDATE = 1.5
ACTIVITY = {"continuous": 0.25, "grid": 0.03}  # spikes per neuron: of a sample (one-spike codes), of a step
BYTES_PER_SPIKE = 24
# models that may spike at any time, from perf/bench_continuous.py: an event reaches a neuron, decays it and predicts its spike
NS_PER_ARRIVAL = {"lif_continuous": 20.0, "cuba_lif": 40.0}
NS_OTHER_ARRIVAL = 40.0
NS_PER_DRAW = 100.0  # a Poisson spike: drawn, sorted, kept
RATE_HZ = 10.0  # of every neuron; that of a Poisson input is known
SLAB_BYTES = 100e6  # spikes on their way to the disk


def estimate(job):
    """Estimate a run.

    Parameters
    ----------
    job : Job
        With the stages up to `encode` done.

    Returns
    -------
    dict
        samples, neurons, synapses, synaptic_events, seconds, megabytes.
    """
    network, maker = job.results["network"], job.results["encode"]
    ends = [(p.synapses, network.shape_of(p.source), network.shape_of(p.target)) for p in network.projections]
    fans = [np.sum(kind.fan_out(source, target)) for kind, source, target in ends]
    stored = sum(array.nbytes for kind, *_ in ends for array in vars(kind).values() if hasattr(array, "nbytes"))
    neurons = sum(p.size for p in network.populations)
    how = _any_time if _free(network) else _in_order
    events, seconds, memory = how(job, network, maker, fans, neurons)
    return {"samples": maker.n_samples, "neurons": neurons, "synapses": int(sum(fans)), "synaptic_events": events,
            "seconds": seconds, "megabytes": (stored + memory) / 1e6}  # fmt: skip


def _free(network):
    return network.clock == "continuous" and not network.gated


def _in_order(job, network, maker, fans, neurons):
    """The grid, and gated populations: (synaptic events, seconds, bytes beside the synapses)."""
    share = ACTIVITY[network.clock] * (1 if network.clock == "continuous" else maker.steps or 100)
    sources = neurons + sum(node.size for node in network.inputs)
    events = maker.n_samples * int(sum(fans)) * share
    updates = maker.n_samples * neurons * (1 if network.clock == "continuous" else share)
    seconds = 1e-9 * (events * NS_PER_SYNAPTIC_EVENT + updates * NS_PER_UPDATE) / job.spec.run.threads
    batch = min(job.spec.run.batch, maker.n_samples)
    return events, seconds, batch * sources * share * BYTES_PER_SPIKE + 16 * neurons * job.spec.run.threads


def _any_time(job, network, maker, fans, neurons):
    """Spikes at any time: every neuron at `RATE_HZ` (ramps: a share of one spike), inputs as far as they are known."""
    each = RATE_HZ * 1e-3 * (maker.duration or 0.0)
    spikes = {p.name: p.size * (ACTIVITY["continuous"] if p.model.name.startswith("ramp") else each) for p in network.populations}
    drawn = 0.0
    for node in network.inputs:
        code = maker.codes[node.name]
        if code.code == "poisson_times":
            spikes[node.name] = float(np.mean(code.rate)) * node.size * 1e-3 * maker.duration
            drawn += spikes[node.name]
        else:
            spikes[node.name] = maker.given[node.name].n_spikes / maker.n_samples if node.name in maker.given else node.size
    events, ns = 0.0, NS_PER_DRAW * drawn
    for projection, fan in zip(network.projections, fans):
        arrivals = spikes[projection.source] * float(fan) / network.nodes[projection.source].size
        model = network.nodes[projection.target].model.name
        events, ns = events + arrivals, ns + arrivals * NS_PER_ARRIVAL.get(model, NS_OTHER_ARRIVAL)
    many = 0.0 if maker.n_samples == 1 else min(job.spec.run.batch, maker.n_samples) * sum(spikes.values()) * BYTES_PER_SPIKE
    state = 64 * neurons + min(SLAB_BYTES, BYTES_PER_SPIKE * sum(spikes.values()))
    return maker.n_samples * events, 1e-9 * maker.n_samples * ns, many + state


def estimate_text(job):
    """Write the estimate of a run for people.

    Parameters
    ----------
    job : Job

    Returns
    -------
    str
    """
    if "encode" not in job.results:
        return "no estimate: training comes first (its time depends on PyTorch), or nothing runs"
    found, network = estimate(job), job.results["network"]
    return (
        f"{found['samples']:,} samples, {found['neurons']:,} neurons, {found['synapses']:,} synapses\n"
        f"about {found['synaptic_events']:.2g} synaptic events, {found['seconds']:.2g} s, {found['megabytes']:.0f} MB "
        f"beside the libraries and the data\nmodel: {_model(network)}, first-time compiling (up to a minute) not counted"
    )


def _model(network):
    """What the estimate assumes, in words."""
    if _free(network):
        costs = ", ".join(f"{ns:g} ns ({name})" for name, ns in NS_PER_ARRIVAL.items())
        ramps = f" (of ramps, {ACTIVITY['continuous']} spikes per sample)"
        return f"every neuron at {RATE_HZ:g} Hz{ramps}, {costs} per synaptic event, {NS_PER_DRAW:g} ns per Poisson spike"
    unit = "sample" if network.clock == "continuous" else "step"
    return (f"{ACTIVITY[network.clock]} spikes per neuron and {unit}, {NS_PER_SYNAPTIC_EVENT} ns per synaptic event, "
            f"{NS_PER_UPDATE} ns per neuron update")  # fmt: skip
