"""NSL-KDD as the matrices that both sides of `models.py` fit on: 122 columns, 0..1, and splits.

41 features become 38 numbers and 84 one-hot columns (3 protocols, 70 services, 11 flags), scaled
to 0..1 by the smallest and largest value of the training rows. A label is 1 for any attack.

The matrix file, all little-endian: `CORMMTX1`, u64 rows, u64 columns, f64 values row by row, then
one u8 label per row.
"""

import os
import random
import struct
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd

import measure

CATEGORIES = {
    "dos": ["back", "land", "neptune", "pod", "smurf", "teardrop"],
    "probe": ["ipsweep", "nmap", "portsweep", "satan"],
    "r2l": ["ftp_write", "guess_passwd", "imap", "multihop", "phf", "spy", "warezclient", "warezmaster"],
    "u2r": ["buffer_overflow", "loadmodule", "perl", "rootkit"],
}


class Split:
    """A training and a test file, and what the test rows are."""

    def __init__(self, name, train, test, held_out, test_names):
        self.name, self.train, self.test = name, train, test
        self.held_out, self.test_names = held_out, test_names
        self.sparse = False  # whether both sides are to make sparse rows of the matrix


def source():
    """Path of the table, or None when the shared data are not there."""
    shared = Path(os.environ.get("CORMORANT_SHARED", measure.ROOT.parent / "shared"))
    unpack = shared / "data/unpack.sh"
    if not unpack.exists():
        return None
    folder = subprocess.run([unpack], check=True, capture_output=True, text=True).stdout.split()[-1]
    return Path(folder) / "tables/nsl-kdd/KDDTrain+.txt"


def load(path):
    """(values as float64, attack name per row)."""
    table = pd.read_csv(path, header=None)
    columns = []
    for c in range(41):
        if c in (1, 2, 3):
            columns += [(table[c] == v).to_numpy(np.float64) for v in sorted(table[c].unique())]
        else:
            columns.append(table[c].to_numpy(np.float64))
    return np.column_stack(columns), table[41].to_numpy(str)


def row_split(x, names, seed, normal_only):
    """A seeded 80/20 split by row."""
    order = np.random.default_rng(seed).permutation(len(x))
    cut = len(x) * 4 // 5
    return written(f"rows-{seed}", x, names, order[:cut], order[cut:], [], normal_only)


def type_split(x, names, seed, normal_only):
    """Whole attack types held out, about a third of each category and at least one.

    Test rows: every row of those types, and the fifth of the normal rows not trained on.
    """
    rng = random.Random(seed)
    held_out = [t for kind in CATEGORIES.values() for t in rng.sample(kind, max(1, round(len(kind) / 3)))]
    normal = np.random.default_rng(seed).permutation(np.flatnonzero(names == "normal"))
    cut = len(normal) * 4 // 5
    held = np.isin(names, held_out)
    train = np.concatenate([normal[:cut], np.flatnonzero((names != "normal") & ~held)])
    test = np.concatenate([normal[cut:], np.flatnonzero(held)])
    return written(f"types-{seed}", x, names, np.sort(train), np.sort(test), held_out, normal_only)


def written(name, x, names, train, test, held_out, normal_only):
    if normal_only:  # novelty models learn from clean rows
        name, train = name + "-normal", train[names[train] == "normal"]
    low, high = x[train].min(axis=0), x[train].max(axis=0)
    span = np.where(high > low, high - low, 1.0)
    folder = measure.CACHE / "matrices"
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{name}.{part}" for part in ("train", "test")]
    for path, rows in zip(paths, (train, test)):
        write_matrix(path, (x[rows] - low) / span, names[rows] != "normal")
    return Split(name, *paths, held_out, names[test])


def write_matrix(path, x, labels):
    with open(path, "wb") as f:
        f.write(b"CORMMTX1" + struct.pack("<QQ", *x.shape))
        f.write(np.ascontiguousarray(x, "<f8").tobytes())
        f.write(np.asarray(labels, np.uint8).tobytes())


def read_matrix(path):
    """(values, labels)."""
    with open(path, "rb") as f:
        if f.read(8) != b"CORMMTX1":
            raise ValueError(f"{path}: not a matrix file")
        rows, columns = struct.unpack("<QQ", f.read(16))
        x = np.frombuffer(f.read(rows * columns * 8), "<f8").reshape(rows, columns)
        return x, np.frombuffer(f.read(rows), np.uint8)
