#!/usr/bin/env python3
"""Does a model learn malice, or only whose network a capture was taken in?

Takes the labelled real captures (../shared), extracts the `flow` set with our binary, and asks our random forest
three questions, always judged on rows of captures (or families, or publishers) that it never saw:

  detection   malicious or benign captures, leaving whole captures out
  unseen      the same, leaving whole families out, one after the other
  publisher   (control) benign captures only: was this one published by X or by another?

If the control works as well as the detection, then a good detection figure is no evidence of malice.
A fourth table leaves whole publishers out of the detection: what is left when that shortcut is closed.

Usage: benches/malice.py [--binary target/release/cormorant] [--out FILE.txt]
Needs pandas and pyarrow (benches/setup.sh makes the environment).
"""
import argparse
import collections
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import pandas as pd

ROOT = pathlib.Path(__file__).resolve().parent.parent
MALICIOUS = {"malware", "c2-framework", "attack", "exploit-or-scan", "lateral-movement", "pua-miner"}
BENIGN = {"benign", "benign-app", "benign-evasive", "device"}
# A capture with thousands of flows must not outvote fifty small ones: at most this many of its rows are kept.
ROWS_PER_CAPTURE = 300


def main():
    args = arguments()
    data = pathlib.Path(subprocess.check_output(["sh", str(shared() / "data" / "unpack.sh")], text=True).strip())
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(args.binary, pathlib.Path(folder))
        rows = labelled_rows(bench, data)
        text = "\n\n".join([composition(rows), detection(bench, rows), unseen(bench, rows), publisher(bench, rows), leave_publisher_out(bench, rows)])
    print(text)
    if args.out:
        pathlib.Path(args.out).write_text(text + "\n")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default=str(ROOT / "target/release/cormorant"))
    parser.add_argument("--out")
    return parser.parse_args()


def shared():
    folder = pathlib.Path(os.environ.get("CORMORANT_SHARED", ROOT.parent / "shared"))
    if not folder.is_dir():
        sys.exit(f"skipped: the labelled captures are not at {folder} (set CORMORANT_SHARED)")
    return folder


class Bench:
    """Our binary and a folder for what it writes."""

    def __init__(self, binary, folder):
        self.binary, self.folder = binary, folder

    def run(self, *words, ok=(0,)):
        done = subprocess.run([self.binary, *map(str, words)], capture_output=True, text=True)
        if done.returncode not in ok:
            sys.exit(f"{' '.join(map(str, words))}\n{done.stderr}")
        return done.stdout

    def out_of_fold(self, rows, split):
        """Metrics of a random forest on rows it was not fitted on."""
        table, model = self.folder / "table.csv", self.folder / "model.corm"
        rows.to_csv(table, index=False)
        report = self.run("--json", "train", table, "-m", "random-forest", "-p", "class_weight=balanced", "--split", split, "-o", model)
        return json.loads(report)


def labelled_rows(bench, data):
    """One table of flows with label, family (of the capture) and publisher; captures without flows fall away."""
    captures = pd.read_csv(data / "captures.csv")
    captures = captures[captures.use.isin(MALICIOUS | BENIGN)]
    tables = []
    for row in captures.itertuples():
        out = bench.folder / "one.parquet"
        # Exit 1 means a fault inside the capture: the rows before it are kept.
        bench.run("extract", data / "pcaps" / row.path, "--features", "flow", "-o", out, ok=(0, 1))
        if not out.exists():
            continue
        table = pd.read_parquet(out)
        out.unlink()
        if len(table) == 0:
            continue
        if len(table) > ROWS_PER_CAPTURE:
            table = table.sample(ROWS_PER_CAPTURE, random_state=0).sort_index()
        table["capture"] = row.path
        table["label"] = "malicious" if row.use in MALICIOUS else "benign"
        table["family"] = family(row)
        table["publisher"] = row.path.split("/")[0]
        table["use"] = row.use
        table["named"] = row.label if row.use in MALICIOUS else "benign"
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def family(row):
    """Kind of malice for malicious captures, `benign` otherwise."""
    return row.use if row.use in MALICIOUS else "benign"


def composition(rows):
    per = rows.groupby(["label", "use", "publisher"]).agg(captures=("capture", "nunique"), flows=("capture", "size"))
    return f"Flows (at most {ROWS_PER_CAPTURE} per capture)\n" + per.to_string()


def shown(name, report):
    metrics = report["metrics"]
    recall = {point["fpr"]: point["recall"] for point in metrics["recall_at_fpr"]}
    cells = [metrics["roc_auc"], metrics["average_precision"], metrics["base_rate"], recall.get(0.01), recall.get(0.1)]
    return f"{name:<34}" + "".join(f"{cell(value):>12}" for value in cells)


def cell(value):
    return "-" if value is None else f"{value:.3f}"


HEADER = f"{'':<34}" + "".join(f"{name:>12}" for name in ["ROC AUC", "avg prec", "base rate", "R@FPR 1%", "R@FPR 10%"])


def without(rows, *columns):
    return rows.drop(columns=[column for column in columns if column in rows])


def detection(bench, rows):
    report = bench.out_of_fold(without(rows, "publisher", "use", "named"), "group-k-fold:5")
    return "Detection, whole captures left out (5 folds)\n" + HEADER + "\n" + shown("malicious or benign", report)


def unseen(bench, rows):
    lines = ["Detection, whole families left out", HEADER]
    for name in sorted(set(rows.family) - {"benign"}):
        report = bench.out_of_fold(without(rows, "publisher", "use", "named"), f"leave-family-out:{name}")
        lines.append(shown(f"all of {name}", report))
    named = without(rows, "publisher", "use", "family").rename(columns={"named": "family"})
    families = named.family.nunique() - 1
    lines.append(shown(f"each of {families} names in turn", bench.out_of_fold(named, "leave-family-out")))
    return "\n".join(lines)


def publisher(bench, rows):
    benign = rows[rows.label == "benign"]
    counts = collections.Counter(benign.drop_duplicates("capture").publisher)
    lines = ["Control: who published this benign capture? Whole captures left out (5 folds)", HEADER]
    for name in sorted(name for name, captures in counts.items() if captures >= 5):
        table = without(benign, "publisher", "use", "named").copy()
        table["label"] = ["malicious" if is_it else "benign" for is_it in benign.publisher == name]
        table["family"] = table["label"]
        lines.append(shown(f"{name} or another", bench.out_of_fold(table, "group-k-fold:5")))
    return "\n".join(lines)


def leave_publisher_out(bench, rows):
    table = without(rows, "use", "capture", "named").rename(columns={"publisher": "capture"})
    publishers = table.capture.nunique()
    report = bench.out_of_fold(table, f"group-k-fold:{publishers}")
    return f"Detection, whole publishers left out ({publishers} folds)\n" + HEADER + "\n" + shown("malicious or benign", report)


if __name__ == "__main__":
    main()
