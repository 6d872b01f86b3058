"""Make eventsnn/shipped/digits.npz: the first 300 test digits of each class of MNIST, one of each class in turn.

    python data/make_digits.py

Needs MNIST (`eventsnn data get mnist`, or EVENTSNN_DATA). The same input gives the same bytes.
"""

from pathlib import Path

import numpy as np

from eventsnn.disk import finished
from eventsnn.files.datasets import load

PER_CLASS = 300


def main():
    """Write the file beside the package's code and print what is in it."""
    mnist = load("mnist", "test")
    of_class = [np.flatnonzero(mnist.labels == label)[:PER_CLASS] for label in range(10)]
    indices = np.stack(of_class, axis=1).reshape(-1)  # 0 1 2 ... 9 0 1 2: any first 10 k are balanced
    target = Path(__file__).resolve().parents[1] / "eventsnn" / "shipped" / "digits.npz"
    target.parent.mkdir(exist_ok=True)
    arrays = {"images": mnist.images[indices, :, :, 0], "labels": mnist.labels[indices]}
    with finished(target) as part, open(part, "wb") as stream:
        np.savez_compressed(stream, **arrays, indices=indices.astype(np.int32))
    print(f"{target}: {len(indices)} digits, {target.stat().st_size} bytes")


if __name__ == "__main__":
    main()
