"""Time and memory of a run, estimated from sizes by a stated model before anything runs."""

import numpy as np

# rounded up from perf/bench_rate_conv.py and perf/bench_conv2d.py on a recent core: an order of magnitude, not a promise
NS_PER_SYNAPTIC_EVENT = 0.3
NS_PER_UPDATE = 1.5
ACTIVITY = {"continuous": 0.25, "grid": 0.03}  # spikes per neuron: of a sample (one-spike codes), of a step
BYTES_PER_SPIKE = 24


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
    steps = 1 if network.clock == "continuous" else maker.steps or 100
    ends = [(p.synapses, network.shape_of(p.source), network.shape_of(p.target)) for p in network.projections]
    synapses = sum(int(np.sum(kind.fan_out(source, target))) for kind, source, target in ends)
    stored = sum(array.nbytes for kind, *_ in ends for array in vars(kind).values() if hasattr(array, "nbytes"))
    neurons = sum(p.size for p in network.populations)
    sources = neurons + sum(node.size for node in network.inputs)
    share = ACTIVITY[network.clock] * steps
    events = maker.n_samples * synapses * share
    updates = maker.n_samples * neurons * (1 if network.clock == "continuous" else share)
    seconds = 1e-9 * (events * NS_PER_SYNAPTIC_EVENT + updates * NS_PER_UPDATE) / job.spec.run.threads
    batch = min(job.spec.run.batch, maker.n_samples)
    memory = stored + batch * sources * share * BYTES_PER_SPIKE + 16 * neurons * job.spec.run.threads
    return {"samples": maker.n_samples, "neurons": neurons, "synapses": synapses, "synaptic_events": events,
            "seconds": seconds, "megabytes": memory / 1e6}  # fmt: skip


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
    found, clock = estimate(job), job.results["network"].clock
    unit = "sample" if clock == "continuous" else "step"
    return (
        f"{found['samples']:,} samples, {found['neurons']:,} neurons, {found['synapses']:,} synapses\n"
        f"about {found['synaptic_events']:.2g} synaptic events, {found['seconds']:.2g} s, {found['megabytes']:.0f} MB "
        "beside the libraries and the data\n"
        f"model: {ACTIVITY[clock]} spikes per neuron and {unit}, {NS_PER_SYNAPTIC_EVENT} ns per synaptic event, "
        f"{NS_PER_UPDATE} ns per neuron update, first-time compiling (up to a minute) not counted"
    )
