"""What files hold, where two rasters differ, which scenarios there are; behind the commands info, compare, scenario."""

from pathlib import Path

import numpy as np

from eventsnn.errors import DataError, EventsnnError, RasterError, ScenarioError


def describe(name):
    """Say what a file holds.

    Parameters
    ----------
    name : str
        raster.h5, its .part, .npz, weights, a run folder, or `models`.

    Returns
    -------
    str

    Raises
    ------
    EventsnnError
        If the file is missing or nothing that eventsnn knows.
    """
    path = Path(name)
    if name == "models" and not path.exists():
        return _models()
    if path.is_dir():
        return _folder(path)
    if not path.exists():
        raise DataError(f"{name}: no such file")
    if path.suffix in (".yml", ".yaml"):
        return _scenario(name)
    kinds = {".h5": [_raster, _weights], ".hdf5": [_raster, _weights], ".part": [_raster, _weights], ".npz": [_weights, _npz]}
    tries = kinds.get(path.suffix, [_weights])
    problems = []
    for attempt in tries:
        try:
            return attempt(path)
        except EventsnnError as error:
            problems.append(str(error))
    raise DataError("\n".join(dict.fromkeys(problems)))


def _models():
    from eventsnn.neurons.base import find_model, model_names

    lines = []
    for name in model_names():
        model = find_model(name)
        about = (model.__doc__ or "").strip().partition("\n")[0]
        lines.append(f"{name} ({model.clock} clock): {about}")
        lines += [f"    {p.name} = {p.default:g}  {p.doc}" for p in model.parameters]
        for switch in model.switches:
            allowed = ", ".join(map(str, switch.allowed))
            lines.append(f"    {switch.name} = {switch.default}  {switch.doc}, one of {allowed}")
    return "\n".join(lines)


def _scenario(name):
    from eventsnn.scenario.load import load

    loaded = load(name)
    return f"{name}: scenario '{loaded.spec.title}', sha256 {loaded.sha256}\n{loaded.text}"


def _folder(path):
    from eventsnn.scenario.progress import summary
    from eventsnn.scenario.results import read_json
    from eventsnn.scenario.run import RESULT, STATE, Result, read_result

    if (path / RESULT).exists():
        return summary(Result(path, read_result(path)))
    state = read_json(path / STATE)
    if not {"status", "scenario_file"} <= state.keys():
        raise DataError(f"{path}: not a run folder (no {RESULT}, no {STATE} that can be read)")
    said = "not finished (running now, or killed: --resume goes on)" if state["status"] == "running" else state["status"]
    text = f"{path}: {said}, scenario {state['scenario_file']}"
    text += f"\n{state['error']}" if state.get("error") else ""
    part = path / "raster.h5.part"
    try:
        return text + (f"\n{_raster(part)}" if part.exists() else "")
    except RasterError:
        return text + f"\n{part}: no slice is whole yet"


def _raster(path):
    from eventsnn.files.raster_h5 import read_rasters

    rasters, meta = read_rasters(path, partial=path.suffix == ".part")
    lines = [f"{path}: spikes{' so far' if path.suffix == '.part' else ''}"]
    for name, raster in rasters.items():
        shape = "x".join(map(str, raster.shape)) if raster.shape else str(raster.size)
        lines.append(f"  {name}: {raster.n_spikes:,} spikes of {raster.size:,} neurons ({shape}), {raster.n_samples:,} "
                     f"samples of {raster.duration_ms:g} ms, {raster.clock} clock")  # fmt: skip
    short = {k: v for k, v in meta.items() if isinstance(v, str | int | float) and "\n" not in str(v)}
    return "\n".join([*lines, *(f"  {key}: {value}" for key, value in sorted(short.items()))])


def _weights(path):
    from eventsnn.ann.files import load_graph

    graph = load_graph(path)
    count = sum(array.size for array in graph.parameters().values())
    lines = [f"{path}: ReLU network, {count:,} parameters, {graph.dtype}", f"  {graph!r}"]
    return "\n".join([*lines, *(f"  {key}: {value}" for key, value in graph.meta.items() if key != "curve")])


def _npz(path):
    from eventsnn import disk

    arrays = disk.read_npz(path, DataError)
    rows = [f"  {name}: {array.dtype} {array.shape}" for name, array in arrays.items()]
    return "\n".join([f"{path}: {len(arrays)} arrays", *rows])


def _read(name):
    from eventsnn.files.raster_h5 import read_rasters
    from eventsnn.raster import SpikeRaster

    path = Path(name)
    path = path / "raster.h5" if path.is_dir() else path
    if path.suffix == ".npz":
        return {"raster": SpikeRaster.from_npz(path)}
    return read_rasters(path, partial=path.suffix == ".part")[0]


def compare_rasters(first, second):
    """Compare two raster files, population by population.

    Parameters
    ----------
    first, second : str
        raster.h5, .part, .npz or run folders.

    Returns
    -------
    equal : bool
    text : str
        Counts, and the first difference of each population.
    """
    left, right = _read(first), _read(second)
    lines, equal = [], True
    for name in dict.fromkeys([*left, *right]):
        if name not in left or name not in right:
            lines.append(f"{name}: only in {first if name in left else second}")
            equal = False
            continue
        difference = first_difference(left[name], right[name])
        equal &= difference is None
        counts = f"{len(left[name]):,} and {len(right[name]):,} spikes"
        lines.append(f"{name}: {counts}, {'equal' if difference is None else difference}")
    return equal, "\n".join([*lines, "equal" if equal else "different"])


def first_difference(a, b):
    """Say where two rasters first differ.

    Parameters
    ----------
    a, b : SpikeRaster

    Returns
    -------
    str or None
        None: they are equal.
    """
    for key in ("size", "duration", "dt_ms", "n_samples"):
        if getattr(a, key) != getattr(b, key):
            return f"{key} {getattr(a, key)} and {getattr(b, key)}"
    if a == b:
        return None
    for k in range(a.n_samples):
        x, y = a.sample(k), b.sample(k)
        n = min(len(x), len(y))
        ax, ay = (np.ones(len(r)) if r.amplitudes is None else r.amplitudes for r in (x, y))
        wrong = (x.times[:n] != y.times[:n]) | (x.ids[:n] != y.ids[:n]) | (ax[:n] != ay[:n])
        if wrong.any() or len(x) != len(y):
            i = int(wrong.argmax()) if wrong.any() else n
            return f"first difference in sample {k}, spike {i}: {_spike(x, ax, i)} and {_spike(y, ay, i)}"
    return "differ in shape"


def _spike(raster, amplitudes, i):
    if i >= len(raster):
        return "no spike"
    return f"neuron {raster.ids[i]} at {raster.times_ms[i]:.17g} ms (amplitude {amplitudes[i]:.17g})"


def list_scenarios():
    """List the scenarios inside the package and in ./scenarios, with their titles, as text."""
    from eventsnn.scenario.text.find import SHIPPED

    found = [(f"shipped:{path.name}", path) for path in sorted(SHIPPED.glob("*.yml"))]
    found += [(str(path), path) for path in sorted(Path("scenarios").rglob("*.yml"))]
    return "\n".join(f"{name:44} {_title(path)}" for name, path in found)


def _title(path):
    from eventsnn.scenario.text import yaml

    try:
        return yaml.parse(path.read_text("utf-8"), str(path))[0]["title"]
    except (EventsnnError, OSError, KeyError, TypeError, ValueError):
        return "(cannot be read)"


def copy_scenario(name, target=None):
    """Copy a scenario to start from.

    Parameters
    ----------
    name : str
        File, `shipped:NAME` or the name of a scenario inside the package.
    target : str, optional
        Default: the same file name in the present folder.

    Returns
    -------
    Path
        The copy; an existing file is never written over.
    """
    from eventsnn.scenario.text.find import SHIPPED, find

    inside = SHIPPED / f"{name.removesuffix('.yml')}.yml"
    text, source, _ = find(f"shipped:{inside.name}" if "/" not in name and inside.exists() else name)
    path = Path(target) if target else Path(source.removeprefix("shipped:")).name
    path = Path(path)
    try:
        with open(path, "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise ScenarioError(f"{path}: exists already; give another name") from None
    except OSError as error:
        raise ScenarioError(f"{path}: cannot be written: {error.strerror}") from None
    return path
