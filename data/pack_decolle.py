"""Pack the weights of a quantised DECOLLE run as they are used, on the grid of wb bits: python data/pack_decolle.py RUN NAME."""

import json
import sys
from pathlib import Path

import numpy as np

from eventsnn import quantise

run, name = Path(sys.argv[1]), sys.argv[2]
with np.load(run / "learned.npz") as found:
    arrays = dict(found)
bits = json.loads(arrays["settings"].tobytes())["bits"]
for key in arrays.keys() - {"settings"}:
    used = quantise.weights(quantise.clip(arrays[key], bits["gb"]), bits["wb"])
    arrays[key] = used.astype(np.float16)
    if not np.array_equal(arrays[key], used):
        raise SystemExit(f"{key}: {bits['wb']} bits do not fit float16")
np.savez_compressed(Path(__file__).parent / f"{name}.npz", **arrays)
