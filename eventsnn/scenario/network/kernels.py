"""Stage `optimise`: kernels of a T2FSNN fitted on training images; and the conversion that uses them."""

import csv
import json

import numpy as np

from eventsnn import disk
from eventsnn.errors import DataError, ModelError, RunError
from eventsnn.scenario.rules.sections import encoders

CHECKPOINT, LOG = "checkpoint.npz", "kernel_losses.csv"


def to_t2fsnn(loaded, graph, calibration, options):
    """Convert a ReLU network by `convert: {to: t2fsnn}`; `options` are its keys, see `eventsnn.scenario.network.convert`."""
    from eventsnn.conversion.t2fsnn import to_t2fsnn
    from eventsnn.scenario.network.scaling import normalisation

    given, noise = options.pop("kernels"), options.pop("noise")
    kernels = _kernels(loaded, graph, given) if given is None or isinstance(given, dict) else given
    return to_t2fsnn(graph, calibration.x, kernels=kernels, noise=_noise(noise), analog=analog_input(loaded.spec),
                     dt_ms=options.pop("dt"), calibration=calibration.name, **normalisation(loaded, graph, options),
                     **options)  # fmt: skip


def analog_input(spec):
    """Whether the input enters as numbers: it has no kernel to optimise and no spikes to lose."""
    return any(getattr(code, "analog", False) for code in encoders(spec).values())


def _kernels(loaded, graph, named):
    """Return the kernels that `convert.kernels` names, or those that training left with the weights; None: neither."""
    if named is not None:
        return _read(loaded, graph, named)
    return _trained(graph.meta["ttfs_kernels"]) if "ttfs_kernels" in graph.meta else None


def _trained(values):
    """Return the kernels that training through the TTFS twin left with the weights."""
    from eventsnn.conversion.kernels import Kernels

    try:
        return Kernels(values["tau"], values["td"])
    except (KeyError, TypeError, ModelError) as error:
        raise DataError("the kernels kept with the weights (meta ttfs_kernels) are not one tau and td for each layer; name a "
                        "kernel file under convert.kernels") from error  # fmt: skip


def _noise(spec):
    from eventsnn.relays import Deletion, Jitter

    if spec is None:
        return None
    values = dict(spec)
    return {"deletion": Deletion, "jitter": Jitter}[values.pop("kind")](**values)


def _read(loaded, graph, spec):
    """Read `convert.kernels` for a network."""
    from eventsnn.conversion.fold import fold_batch_norm
    from eventsnn.conversion.segments import cut
    from eventsnn.files.kernels import read_kernels

    layers = [s.name for s in cut(fold_batch_norm(graph))[1] if not s.is_output]
    with loaded.at("convert", "kernels"):
        return read_kernels(loaded.file(spec["file"])).for_layers(layers, spec["by_order"])


def optimise(loaded, graph, calibration, samples, folder, progress):
    """Optimise the kernels, or go on where a killed run stopped.

    Parameters
    ----------
    loaded : LoadedScenario
        With sections `optimise` and `convert`.
    graph : LayerGraph
        The ReLU network.
    calibration : Samples
        Of the conversion: they set the scales.
    samples : Samples
        Training images.
    folder : Path
        Of this stage.
    progress : callable
        Called with (batches done, batches).

    Returns
    -------
    dict
        kernels, report (losses before and after, per layer, on the first batch of images), files to keep.
    """
    from eventsnn.files.kernels import file_name, write_kernels

    if samples.x is None or calibration.x is None:
        raise DataError(f"{samples.name}: kernels are optimised on images")
    spec, given = loaded.spec.optimise, loaded.spec.convert
    worker = _worker(loaded, graph, calibration, samples)
    folder.mkdir(parents=True, exist_ok=True)
    first = samples.x[: spec.batch]

    def named(images):
        return file_name(given.tau, worker.coding.duration, images, spec.outlier)

    before = _restore(worker, folder) or worker.losses(first)
    while worker.done < worker.batches:
        worker.advance()
        count = spec.images + worker.images(worker.done)
        if count % spec.save_every == 0 or worker.done == worker.batches:
            write_kernels(folder / named(count), worker.kernels)
        _keep(worker, folder, before)
        progress(worker.done, worker.batches)
    name = named(spec.images + worker.images(worker.batches))
    _write_log(folder / LOG, worker.log)
    report = {"data": samples.name, "images": worker.images(worker.batches), "batches": worker.batches,
              **spec.model_dump(include={"epochs", "batch", "rho", "outlier", "quirks"}), "losses_before": before,
              "losses_after": worker.losses(first), "kernels": {"tau": worker.kernels.tau, "td": worker.kernels.td},
              "file": name}  # fmt: skip
    return {"kernels": worker.kernels, "report": report, "files": [folder / name, folder / LOG]}


def _worker(loaded, graph, calibration, samples):
    """Set the optimisation up as the conversion will use its kernels."""
    from eventsnn.conversion.fold import fold_batch_norm
    from eventsnn.conversion.kernel_optimise import KernelOptimiser, Rules
    from eventsnn.conversion.normalise import normalise
    from eventsnn.conversion.t2fsnn import check_options, kernels_for, window_steps
    from eventsnn.conversion.t2fsnn_build import Coding
    from eventsnn.scenario.network.scaling import normalisation

    spec, given = loaded.spec.optimise, loaded.spec.convert
    options = given.model_dump()
    start, duration = window_steps(given.t_fire_start, given.t_fire_duration, given.tau if given.in_tau else None)
    coding = Coding(start, duration, given.half_step, given.theta0, dt_ms=given.dt, dtype=given.dtype)
    check_options(coding, given.tau)
    scaling = normalisation(loaded, graph, options)
    normalised, _ = normalise(fold_batch_norm(graph), calibration.x, dtype="float64", **scaling)
    kernels = _kernels(loaded, graph, options["kernels"])
    rules = Rules(spec.epochs, spec.batch, tuple(spec.rho), spec.outlier, tuple(spec.quirks), analog_input(loaded.spec))
    return KernelOptimiser(normalised, samples.x, kernels_for(normalised, kernels, given.tau)[0], coding, tau=given.tau,
                           rules=rules)  # fmt: skip


def _keep(worker, folder, before):
    """Write what a resumed run goes on from."""
    state = {"done": worker.done, "tau": worker.kernels.tau, "td": worker.kernels.td, "log": worker.log, "before": before}
    text = np.frombuffer(json.dumps(state).encode(), np.uint8)
    with disk.finished(folder / CHECKPOINT) as part, open(part, "wb") as file:
        np.savez(file, state=text)


def _restore(worker, folder):
    """Go on from the checkpoint, if there is one; returns the losses before the first step."""
    from eventsnn.conversion.kernels import Kernels

    if not (folder / CHECKPOINT).exists():
        return None
    with disk.kept(folder / CHECKPOINT):
        state = json.loads(disk.read_npz(folder / CHECKPOINT, RunError)["state"].tobytes())
        worker.done, worker.log = int(state["done"]), state["log"]
        worker.kernels = Kernels(state["tau"], state["td"])
        return state["before"]


def _write_log(path, log):
    """Write the losses of every batch."""
    with disk.finished(path) as part, open(part, "w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, log[0].keys(), lineterminator="\n")
        table.writeheader()
        table.writerows(log)
