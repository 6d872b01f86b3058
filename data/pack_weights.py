"""Pack the weights that a training scenario has made into one small file beside this script.

    eventsnn run scenarios/ann/train_mnist_cnn.yml --out runs/mnist_cnn
    python data/pack_weights.py runs/mnist_cnn mnist_cnn

Weights become float16 (biases and batch norm stay float32), ternary ones take 2 bits each, and the ends of such a network
stay float32; what is written is measured on the samples that the scenario names under `data`, cut and scaled as it says.
"""

import hashlib
import json
import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from eventsnn.ann.files import load_graph, save_graph
from eventsnn.ann.quantised import TernaryConv2d
from eventsnn.scenario.load import resolve
from eventsnn.scenario.samples import load_samples
from eventsnn.scenario.text import yaml


def main(run, name):
    """Write NAME.h5 from a finished run's folder; print its size, sha256 and accuracy."""
    made = json.loads((Path(run) / "result.json").read_text())["provenance"]
    scenario = resolve(yaml.parse(made["scenario"], run)[0], made["scenario_file"], Path(made["scenario_folder"]))
    test = load_samples(scenario, scenario.spec.data)
    (weights,) = Path(run).glob("stages/train-*/weights.h5")
    graph = load_graph(weights)
    few = any(isinstance(layer, TernaryConv2d) for layer in graph.layers)
    packed = {} if few else {key: value.astype(np.float16) for key, value in graph.parameters().items() if value.ndim > 1}
    prediction = graph.with_parameters(packed).forward(test.x).argmax(axis=1)
    meta = {"command": re.sub(r" --out \S+", "", made["command"]), "packed_by": f"data/pack_weights.py RUN {name}",
            "test_accuracy": float((prediction == test.labels).mean())}  # fmt: skip
    target = Path(__file__).resolve().parent / f"{name}.h5"
    save_graph(target, replace(graph, name=name, meta={**graph.meta, **meta}), dtype=None if few else "float16", pack=few)
    digest = hashlib.sha256(target.read_bytes()).hexdigest()
    print(f"{target.name}: {target.stat().st_size} bytes, sha256 {digest}, accuracy {meta['test_accuracy']} on {test.name}")


if __name__ == "__main__":
    main(*sys.argv[1:])
