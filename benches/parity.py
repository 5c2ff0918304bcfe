#!/usr/bin/env python3
"""Measures every classifier of ours beside its peers: quality and time, same data, same run.

Each case is one model on one data set; its sides are ours and the peers (scikit-learn, LightGBM,
XGBoost), each with its own defaults. All sides read the same matrix file and write scores; one
function judges them all. Rounds are interleaved, each with a seed of its own, on 1 and 2 threads.

Data sets: `rows`, NSL-KDD one-hot (122 columns), seeded 80/20; `types`, the same with whole attack
types held out; `20k`, 20,000 rows of `rows` for methods whose time is quadratic; `wide`, a made
table of 1 M x 80; `many`, 1 M of its rows scored after a fit on 100,000; `mails`, Ling-Spam's word counts as sparse rows. Writes
results/<date>-parity.{json,txt}.
"""

import argparse
import os
import statistics
import sys
import time
from pathlib import Path

import measure
import models

HERE = Path(__file__).parent
TREES = ["sklearn"]
BOOSTING = ["lightgbm", "xgboost", "sklearn"]
# Model, its peers (the first is the one compared with), and the data sets it is measured on.
CASES = [
    ("logistic", ["sklearn"], ["rows", "types", "wide", "mails"]),
    ("linear-svm", ["sklearn"], ["rows", "types", "mails"]),
    ("svm", ["sklearn"], ["20k"]),
    ("gaussian-nb", ["sklearn"], ["rows", "types", "wide"]),
    ("bernoulli-nb", ["sklearn"], ["rows", "types", "mails"]),
    ("multinomial-nb", ["sklearn"], ["rows", "types", "mails"]),
    ("k-neighbours", ["sklearn"], ["20k"]),
    ("decision-tree", TREES, ["rows", "types", "wide"]),
    ("random-forest", TREES, ["rows", "types"]),
    ("extra-trees", TREES, ["rows", "types"]),
    ("gradient-boosting", BOOSTING, ["rows", "types", "wide", "many"]),
    ("mlp", ["sklearn"], ["20k"]),
]
SLOW = {"wide", "many"}  # one round


def main():
    args = arguments()
    record = {"machine": measure.machine(), "versions": models.versions(), "runs": []}
    try:
        import nslkdd
        import tables
    except ImportError as error:
        return print(f"skipped: parity: {error} (benches/setup.sh installs what it needs)")
    path = nslkdd.source()
    if path is None:
        return print("skipped: parity: the shared data are not there (../shared)")
    makers = {
        "rows": lambda: nslkdd.row_split(*nslkdd.load(path), 1, False),
        "types": lambda: nslkdd.type_split(*nslkdd.load(path), 1, False),
        "20k": lambda: tables.fewer(nslkdd.row_split(*nslkdd.load(path), 1, False), 20_000),
        "wide": lambda: tables.wide(1_000_000, 80),
        "many": lambda: tables.many(tables.wide(1_000_000, 80), 100_000),
        "mails": lambda: tables.mails(path.parent.parent / "lingspam"),
    }
    splits = {}
    for model, peers, names in CASES:
        for name in names if model in args.models else []:
            if name not in args.data:
                continue
            if name not in splits:
                splits[name] = makers[name]()
            record["runs"] += rounds(model, peers, splits[name], name, args)
    record["machine"]["load_after"] = round(os.getloadavg()[0], 2)
    text = report(record)
    print(text)
    if not args.no_results:
        models.publish_as(record, text, args.tag)


def arguments():
    every = [model for model, _, _ in CASES]
    data = sorted({name for _, _, names in CASES for name in names})
    p = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    p.add_argument("models", nargs="*", default=every, metavar="MODEL", help=f"of {', '.join(every)} (default: all)")
    p.add_argument("--data", type=lambda s: s.split(","), default=data, help=f"of {','.join(data)} (default: all)")
    p.add_argument("--binary", type=Path, default=measure.ROOT / "target/release/examples/bench_models")
    p.add_argument("--threads", type=lambda s: [int(x) for x in s.split(",")], default=[1, 2])
    p.add_argument("--runs", type=int, default=3, help="rounds of each case (1 where the data are large)")
    p.add_argument("--tag", default="parity", help="results/<date>-TAG.{json,txt}")
    p.add_argument("--no-results", action="store_true")
    args = p.parse_args()
    if unknown := set(args.models) - set(every):
        p.error(f"no such model: {', '.join(sorted(unknown))}; there are {', '.join(every)}")
    if not args.binary.exists():
        p.error(f"{args.binary} is not there (cargo build --release -p cormorant-learn --example bench_models)")
    return args


def rounds(model, peers, split, data, args):
    done = []
    for threads in args.threads:
        for seed in range(1, (1 if data in SLOW else args.runs) + 1):
            for side in [*peers, "cormorant"]:
                one = models.fit_and_score(side, model, split, threads, seed, args)
                one.update(models.quality(split, one.pop("scores"), False))
                one["data"] = data
                done.append(one)
                print(
                    f"{data} {model} {side} threads {threads} seed {seed}: fit {one['fit_s']:.2f} s, "
                    f"{one['fit_cpu_s']:.2f} CPU s, score {one['score_s']:.3f} s, AUC {one['auc']:.5f}",
                    file=sys.stderr,
                )
    return done


# ---- the report ----------------------------------------------------------------------------


def report(record):
    lines = [
        "every classifier beside its peers, each with its defaults; medians, times in wall seconds",
        measure.described(record["machine"]), ", ".join(record["versions"]), "",
        table(record["runs"]), "", *verdict(record["runs"]),
    ]  # fmt: skip
    return "\n".join(lines)


def table(runs):
    rows = []
    for (model, data, threads, side), group in models.grouped(runs, "model", "data", "threads", "side").items():
        ours = [r for r in runs if (r["model"], r["data"], r["threads"], r["side"]) == (model, data, threads, "cormorant")]
        ratio = lambda key: "" if side == "cormorant" else f"{models.median(group, key) / max(models.median(ours, key), 1e-4):.1f}"
        rows.append([
            f"{model} {side}", data, threads, f"{models.median(group, 'fit_s'):.2f}", ratio("fit_s"),
            f"{models.median(group, 'score_s'):.3f}", ratio("score_s"), f"{models.median(group, 'auc'):.5f}",
            f"{models.median(group, 'ap'):.5f}", f"{models.median(group, 'accuracy'):.4f}",
            f"{models.median(group, 'log_loss'):.4f}", max(r["rss_mb"] for r in group),
        ])  # fmt: skip
    head = ["model", "data", "threads", "fit s", "x ours", "score s", "x ours", "AUC", "AP", "accuracy", "log loss", "peak MB"]
    return measure.table(head, rows)


def verdict(runs):
    """Fit and score together, the first peer's time by ours."""
    ratios = {}
    for model, peers, _ in CASES:
        for (data, threads), group in models.grouped([r for r in runs if r["model"] == model], "data", "threads").items():
            total = lambda side: statistics.median(r["fit_s"] + r["score_s"] for r in group if r["side"] == side)
            ratios[model, data, threads] = total(peers[0]) / max(total("cormorant"), 1e-4)
    if not ratios:
        return []
    slower = [f"{' '.join(map(str, case))} ({ratio:.2f} x)" for case, ratio in ratios.items() if ratio < 1]
    return [
        f"fit and score together: the median case is {statistics.median(ratios.values()):.1f} x as fast as the peer",
        f"slower than the peer: {', '.join(slower) or 'none'}",
    ]


if __name__ == "__main__":
    main()
