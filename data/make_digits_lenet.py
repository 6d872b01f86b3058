"""Train the two small ternary networks beside this script: what the smoke forms of scenarios/integer/ run.

    python data/make_digits_lenet.py

The first 2,000 of the shipped digits train them, the other 1,000 test them; needs the extra eventsnn[ann].
"""

from dataclasses import replace
from pathlib import Path

import numpy as np

from eventsnn.ann.architectures import build
from eventsnn.ann.files import save_graph
from eventsnn.ann.train import train
from eventsnn.files.datasets import load

SETTINGS = {"epochs": 8, "batch_size": 50, "learning_rate": 5e-3, "schedule": "one_cycle", "threads": 1, "device": "cpu"}


def main():
    """Write digits_lenet_k0.npz and digits_lenet_k1.npz; print size and accuracy."""
    digits = load("digits", "test")
    x, y = digits.images.astype(np.float32).reshape(-1, 28, 28, 1) / np.float32(255), np.asarray(digits.labels).astype(np.int64)
    for k in (0, 1):
        graph = build("quantised", input_shape=(28, 28, 1), layers="8C5-P2-12C5-P2-48", n_out=10, k=k)
        graph = train(graph, (x[:2000], y[:2000]), SETTINGS).graph
        accuracy = float((graph.forward(x[2000:]).argmax(axis=1) == y[2000:]).mean())
        target, meta = Path(__file__).resolve().parent / f"digits_lenet_k{k}.npz", {"command": "python data/make_digits_lenet.py"}
        save_graph(target, replace(graph, name=target.stem, meta=meta | {"test_accuracy": accuracy}), pack=True)
        print(f"{target.name}: {target.stat().st_size} bytes, accuracy {accuracy}")


if __name__ == "__main__":
    main()
