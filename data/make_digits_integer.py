"""Train the four small ternary networks beside this script: what the smoke forms of scenarios/integer/ run.

    python data/make_digits_integer.py

The first 2,000 of the shipped digits train them, the other 1,000 test them; needs the extra eventsnn[ann].
"""

from dataclasses import replace
from pathlib import Path

import numpy as np

from eventsnn.ann.architectures import build
from eventsnn.ann.files import save_graph
from eventsnn.ann.train import train
from eventsnn.files.datasets import load
from eventsnn.scenario.samples import middle, scale, standardised

SETTINGS = {"epochs": 8, "batch_size": 50, "learning_rate": 5e-3, "schedule": "one_cycle", "threads": 1, "device": "cpu"}
# layers, border rule, how images enter: those of the LeNet as they are, those of the VGG-Net as standardised squares of 24 x 24
NETWORKS = {"lenet": ("8C5-P2-12C5-P2-48", "valid", {}),
            "vgg": ("8C3-12C3-P2-16C3-P2-16C3-P2-32-32", "same", {"crop": 24, "standardise": True})}  # fmt: skip


def main():
    """Write digits_lenet_k0.npz, digits_lenet_k1.npz, digits_vgg_k0.npz, digits_vgg_k1.npz; print size and accuracy."""
    digits = load("digits", "test")
    x, y = scale(digits.images).reshape(-1, 28, 28, 1), np.asarray(digits.labels).astype(np.int64)
    for name, (layers, padding, how) in NETWORKS.items():
        test = standardised(middle(x[2000:], how["crop"], "digits")) if how else x[2000:]
        for k in (0, 1):
            graph = build("quantised", input_shape=test.shape[1:], layers=layers, padding=padding, n_out=10, k=k)
            graph = train(graph, (x[:2000], y[:2000]), SETTINGS | how).graph
            accuracy = float((graph.forward(test).argmax(axis=1) == y[2000:]).mean())
            target = Path(__file__).resolve().parent / f"digits_{name}_k{k}.npz"
            meta = {"command": "python data/make_digits_integer.py", "test_accuracy": accuracy}
            save_graph(target, replace(graph, name=target.stem, meta=meta), pack=True)
            print(f"{target.name}: {target.stat().st_size} bytes, accuracy {accuracy}")


if __name__ == "__main__":
    main()
