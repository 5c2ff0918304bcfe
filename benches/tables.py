"""The other tables of `parity.py`: fewer rows, a made wide one, and sparse word counts; written as matrix files."""

import numpy as np

import measure
import nslkdd


def fewer(split, rows):
    """The first `rows` training rows (a row split is in random order already), and all test rows."""
    x, y = nslkdd.read_matrix(split.train)
    path = split.train.with_name(f"{split.name}-{rows}.train")
    nslkdd.write_matrix(path, x[:rows], y[:rows])
    return nslkdd.Split(f"{split.name}-{rows}", path, split.test, split.held_out, split.test_names)


def wide(rows, columns):
    """Two classes that a fifth of the columns tell apart, by their means, their spread and products of two; the rest is
    noise of several shapes. One row in ten is labelled at random. Tested on a quarter as many rows of the same kind."""
    folder = measure.CACHE / "matrices"
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(80)
    telling = columns // 5
    shift, spread = rng.normal(0, 0.25, telling), rng.uniform(0.8, 1.25, telling)
    paths, labels = [], None
    for part, count in (("train", rows), ("test", rows // 4)):
        labels = rng.random(count) < 0.3
        x = rng.normal(size=(count, columns))
        x[:, :telling] = np.where(labels[:, None], x[:, :telling] * spread + shift, x[:, :telling])
        x[labels, 0] = np.abs(x[labels, 0]) * np.sign(x[labels, 1])
        x[:, telling : 2 * telling] = np.exp(x[:, telling : 2 * telling])
        x[:, 2 * telling : 3 * telling] = np.round(x[:, 2 * telling : 3 * telling] * 3)
        flipped = rng.random(count) < 0.1
        labels = np.where(flipped, rng.random(count) < 0.3, labels)
        path = folder / f"wide-{rows}x{columns}.{part}"
        nslkdd.write_matrix(path, x, labels)
        paths.append(path)
    return nslkdd.Split(f"wide-{rows}x{columns}", *paths, ["attack"], np.where(labels, "attack", "normal"))


def many(split, rows):
    """A wide table the other way round: fitted on the first `rows` test rows, all training rows scored."""
    x, y = nslkdd.read_matrix(split.test)
    path = split.train.with_name(f"{split.name}-many-{rows}.train")
    nslkdd.write_matrix(path, x[:rows], y[:rows])
    labels = nslkdd.read_matrix(split.train)[1] == 1
    return nslkdd.Split(f"{split.name}-many", path, split.train, split.held_out, np.where(labels, "attack", "normal"))


def mails(folder):
    """Ling-Spam's word counts, a seeded 80/20 split; both sides make sparse rows of them before the clock starts."""
    import pandas as pd

    table = pd.read_csv(folder / "lingspam-counts.csv.gz")
    spam = table["label"].to_numpy() == 1
    x = table.drop(columns=["instance_id", "ident", "label", "family"]).to_numpy(np.float64)
    order = np.random.default_rng(1).permutation(len(x))
    cut = len(x) * 4 // 5
    out = measure.CACHE / "matrices"
    out.mkdir(parents=True, exist_ok=True)
    paths = [out / f"mails.{part}" for part in ("train", "test")]
    for path, rows in zip(paths, (order[:cut], order[cut:])):
        nslkdd.write_matrix(path, x[rows], spam[rows])
    split = nslkdd.Split("mails", *paths, ["spam"], np.where(spam[order[cut:]], "spam", "normal"))
    split.sparse = True
    return split
