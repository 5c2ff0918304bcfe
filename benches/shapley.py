#!/usr/bin/env python3
"""Compares our explanations with the shap package's: the same trees, the same rows, value by value and second by second.

Our side (`crates/learn/examples/explain_rows.rs`) fits on NSL-KDD, explains rows and saves the model;
its trees are read from the saved bytes and given to `shap.TreeExplainer` as they are, which explains the
same rows with `feature_perturbation="tree_path_dependent"`. One thread on both sides. Writes
results/<date>-shap.{json,txt}. (Not called shap.py: it could then not import the package.)
"""

import argparse
import os
import struct
import time
from pathlib import Path

import measure
import models
import numpy as np

CASES = [("gradient-boosting", 1000), ("decision-tree", 1000), ("random-forest", 100), ("extra-trees", 30)]


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    p.add_argument("--binary", type=Path, default=measure.ROOT / "target/release/examples/explain_rows")
    p.add_argument("--runs", type=int, default=3)
    p.add_argument("--no-results", action="store_true")
    args = p.parse_args()
    try:
        import nslkdd
        import shap
    except ImportError as error:
        return print(f"skipped: shap: {error}")
    path = nslkdd.source()
    if path is None or not args.binary.exists():
        return print(f"skipped: shap: {'NSL-KDD is' if path is None else f'{args.binary} is'} not there")
    split = nslkdd.row_split(*nslkdd.load(path), 1, False)
    record = {"machine": measure.machine(), "versions": [f"shap=={shap.__version__}", *models.versions()], "runs": []}
    for model, rows in CASES:
        record["runs"] += [compared(model, rows, split, args.binary) for _ in range(args.runs)]
    record["machine"]["load_after"] = round(os.getloadavg()[0], 2)
    text = report(record)
    print(text)
    if not args.no_results:
        models.publish_as(record, text, "shap")


def compared(model, rows, split, binary):
    """Both sides once."""
    import nslkdd
    import shap

    out = measure.CACHE / "out" / "explained.f64"
    out.parent.mkdir(exist_ok=True)
    stages, _ = models.staged([str(a) for a in (binary, model, split.train, split.test, rows, out)], 1)
    x = nslkdd.read_matrix(split.test)[0][:rows]
    ours = np.fromfile(out, "<f8").reshape(rows, x.shape[1] + 1)
    trees, offset = read_trees(unpack(out.with_suffix(".f64.model").read_bytes()))
    explainer = shap.TreeExplainer(
        {"trees": trees, "base_offset": offset, "input_dtype": np.float64, "internal_dtype": np.float64},
        feature_perturbation="tree_path_dependent",
    )
    began = time.process_time()
    theirs = np.asarray(explainer.shap_values(x, check_additivity=False))
    cpu = time.process_time() - began
    baseline, scores = np.ravel(explainer.expected_value)[0], np.ravel(explainer.model.predict(x))
    return {
        "model": model, "rows": rows, "trees": len(trees), "nodes": sum(len(t["features"]) for t in trees),
        "depth": max(map(depth, trees)), "our_cpu_s": stages["explained"][1], "shap_cpu_s": cpu,
        "largest_value": float(np.abs(theirs).max()), "largest_difference": float(np.abs(ours[:, :-1] - theirs).max()),
        "baseline_difference": float(np.abs(ours[:, -1] - baseline).max()),
        "our_sum_off": float(np.abs(ours.sum(axis=1) - scores).max()),
        "shap_sum_off": float(np.abs(theirs.sum(axis=1) + baseline - scores).max()),
    }  # fmt: skip


def report(record):
    rows = []
    for (model,), runs in models.grouped(record["runs"], "model").items():
        first = runs[0]
        ours, theirs = (models.median(runs, key) / first["rows"] * 1e6 for key in ("our_cpu_s", "shap_cpu_s"))
        rows.append([
            model, first["rows"], first["trees"], first["nodes"], first["depth"], f"{ours:.0f}", f"{theirs:.0f}", f"{theirs / ours:.1f}",
            f"{first['largest_value']:.3f}", f"{first['largest_difference']:.1e}", f"{first['baseline_difference']:.1e}",
            f"{first['our_sum_off']:.1e}", f"{first['shap_sum_off']:.1e}",
        ])  # fmt: skip
    head = ["model", "rows", "trees", "nodes", "depth", "us a row", "shap's", "x ours", "largest value", "gap of values", "of baselines", "our sum off", "shap's"]
    return "\n".join([
        "our explanations beside shap.TreeExplainer (tree_path_dependent) on our own trees; NSL-KDD, one thread, medians, CPU time",
        measure.described(record["machine"]), ", ".join(record["versions"]), "", measure.table(head, rows),
    ])  # fmt: skip


# ---- our trees, from the bytes they are saved as --------------------------------------------


def read_trees(saved):
    """(trees as shap takes them, what is added to their sum). What is up to a threshold goes left on both sides."""
    sizes = saved["trees"]
    covers = np.frombuffer(saved["covers"], "<f4").astype(np.float64)
    if "start" in saved:  # boosted: trees are added to a start
        nodes = np.frombuffer(saved["nodes"], [("value", "<f8"), ("left", "<u4"), ("column", "<u2"), ("kind", "<u2")])
        assert len(saved["start"]) == 1 and (nodes["kind"] < 3).all(), "two classes, no sets of categories"
        leaf, thresholds, values = nodes["kind"] == 0, nodes["value"], np.where(nodes["kind"] == 0, nodes["value"], 0.0)
        offset, missing_left = saved["start"][0], nodes["kind"] == 2
    else:  # a forest: the mean of the shares of class 1; a cut is a number among those of its column
        nodes = np.frombuffer(saved["nodes"], [("left", "<u4"), ("column", "<u2"), ("cut", "u1"), ("flags", "u1")])
        leaf, missing_left = nodes["flags"] & 2 > 0, nodes["flags"] & 1 > 0
        cuts = [[*cuts, np.inf] for cuts in saved["cuts"]]
        places = zip(nodes["column"], nodes["cut"].astype(int) - missing_left, leaf)
        thresholds = np.array([0.0 if is_leaf else cuts[column][cut] for column, cut, is_leaf in places])
        shares = np.array(saved["leaves"]).reshape(-1, saved["outputs"])[:, 1] / len(sizes)
        values, offset = np.where(leaf, shares[np.where(leaf, nodes["left"], 0)], 0.0), 0.0
    trees, start = [], 0
    for size in sizes:
        part = slice(start, start + size)
        left = np.where(leaf[part], -1, nodes["left"][part].astype(np.int64) - start)
        right = np.where(leaf[part], -1, left + 1)
        trees.append({
            "children_left": left, "children_right": right, "children_default": np.where(missing_left[part], left, right),
            "features": np.where(leaf[part], -2, nodes["column"][part].astype(np.int64)), "thresholds": thresholds[part].copy(),
            "values": mean_values(values[part], left, covers[part])[:, None], "node_sample_weight": covers[part],
        })  # fmt: skip
        start += size
    return trees, offset


def mean_values(values, left, covers):
    """Of a split, the mean over its training rows: shap reads the baseline off the roots."""
    values = values.copy()
    for place in range(len(left) - 1, -1, -1):
        if left[place] >= 0:
            children = slice(left[place], left[place] + 2)
            values[place] = np.average(values[children], weights=covers[children])
    return values


def depth(tree):
    depths = np.zeros(len(tree["children_left"]), int)
    for place, left in enumerate(tree["children_left"]):
        if left >= 0:
            depths[left : left + 2] = depths[place] + 1
    return int(depths.max())


def unpack(data):
    """A MessagePack value: as much of the format as our models use."""
    return Unpacker(data).value()


class Unpacker:
    NUMBERS = {0xCA: ">f", 0xCB: ">d", 0xCC: ">B", 0xCD: ">H", 0xCE: ">I", 0xCF: ">Q", 0xD0: ">b", 0xD1: ">h", 0xD2: ">i", 0xD3: ">q"}
    SIZES = {0xC4: ">B", 0xC5: ">H", 0xC6: ">I", 0xD9: ">B", 0xDA: ">H", 0xDB: ">I", 0xDC: ">H", 0xDD: ">I", 0xDE: ">H", 0xDF: ">I"}

    def __init__(self, data):
        self.data, self.at = data, 0

    def number(self, form):
        (value,) = struct.unpack_from(form, self.data, self.at)
        self.at += struct.calcsize(form)
        return value

    def bytes(self, size):
        self.at += size
        return self.data[self.at - size : self.at]

    def array(self, size):
        return [self.value() for _ in range(size)]

    def map(self, size):
        return {self.value(): self.value() for _ in range(size)}

    def value(self):
        tag = self.number(">B")
        if tag < 0x80:
            return tag
        if tag < 0x90:
            return self.map(tag & 15)
        if tag < 0xA0:
            return self.array(tag & 15)
        if tag < 0xC0:
            return self.bytes(tag & 31).decode()
        if tag in self.NUMBERS:
            return self.number(self.NUMBERS[tag])
        size = self.number(self.SIZES[tag])
        if tag < 0xD0:
            return self.bytes(size)
        return self.bytes(size).decode() if tag < 0xDC else self.array(size) if tag < 0xDE else self.map(size)


if __name__ == "__main__":
    main()
