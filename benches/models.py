#!/usr/bin/env python3
"""Measures our models beside scikit-learn's on NSL-KDD: time and CPU to fit and score, and quality.

Both sides read the same matrix file, fit with the same hyperparameters (scikit-learn's defaults)
and write their scores; the quality figures come from one function. Rounds are interleaved and each
has a seed of its own. Two protocols: `rows`, a seeded 80/20 split, and `types`, whole attack types
held out, which is the honest one. Writes results/<date>-models.{json,txt}.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import measure

HERE = Path(__file__).parent
NOVELTY = {"isolation-forest"}
SERIAL = {"decision-tree", "gaussian-nb", "bernoulli-nb", "multinomial-nb"}  # scikit-learn fits them on one thread
PEERS = {"logistic": ["sklearn", "sklearn:newton"]}
NAMES = [
    "random-forest", "decision-tree", "logistic", "isolation-forest", "gaussian-nb", "bernoulli-nb", "multinomial-nb",
    "mlp",
]  # fmt: skip


def main():
    args = arguments()
    try:
        import nslkdd
    except ImportError:
        return print("skipped: models: scikit-learn, numpy or pandas is not installed (benches/setup.sh installs them)")
    path = nslkdd.source()
    if path is None:
        return print("skipped: models: NSL-KDD is not there (../shared)")
    x, names = nslkdd.load(path)
    record = {"machine": measure.machine(), "versions": versions(), "rows": [], "types": [], "logistic": None}
    for model in args.models:
        novelty = model in NOVELTY
        split = nslkdd.row_split(x, names, args.split_seed, novelty)
        for threads in [1] if model in SERIAL else args.threads:
            record["rows"] += rounds(model, split, threads, args.runs, args)
        for seed in range(1, args.type_splits + 1):
            split = nslkdd.type_split(x, names, seed, novelty)
            record["types"] += rounds(model, split, max(args.threads), args.type_seeds, args)
        if model == "logistic":
            record["logistic"] = optimum(nslkdd.row_split(x, names, args.split_seed, False), args)
    record["machine"]["load_after"] = round(os.getloadavg()[0], 2)
    publish(record, args)


def arguments():
    p = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    p.add_argument("models", nargs="*", default=NAMES, metavar="MODEL", help=f"of {', '.join(NAMES)} (default: all)")
    p.add_argument("--binary", type=Path, default=measure.ROOT / "target/release/examples/bench_models")
    p.add_argument("--threads", type=lambda s: [int(x) for x in s.split(",")], default=[1, 2])
    p.add_argument("--runs", type=int, default=4, help="rounds of the 80/20 protocol")
    p.add_argument("--type-splits", type=int, default=3, help="draws of attack types to hold out")
    p.add_argument("--type-seeds", type=int, default=3, help="models fitted on each draw")
    p.add_argument("--split-seed", type=int, default=1)
    p.add_argument("--tag", default="models", help="results/<date>-TAG.{json,txt}")
    p.add_argument("--no-results", action="store_true")
    args = p.parse_args()
    if unknown := set(args.models) - set(NAMES):
        p.error(f"no such model: {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    if not args.binary.exists():
        print("skipped: our side (cargo build --release -p cormorant-learn --example bench_models)")
    return args


def versions():
    freeze = measure.CACHE / "freeze.txt"
    wanted = ("scikit-learn", "numpy", "scipy")
    return [line for line in freeze.read_text().split() if line.startswith(wanted)] if freeze.exists() else []


# ---- running -------------------------------------------------------------------------------


def rounds(model, split, threads, runs, args):
    """Interleaved rounds of all sides; one record each."""
    sides = PEERS.get(model, ["sklearn"]) + (["cormorant"] if args.binary.exists() else [])
    done = []
    for seed in range(1, runs + 1):
        for side in sides:
            one = fit_and_score(side, model, split, threads, seed, args)
            one.update(quality(split, one.pop("scores"), model in NOVELTY))
            done.append(one)
            print(
                f"{split.name} {model} {side} threads {threads} seed {seed}: fit {one['fit_s']:.2f} s, "
                f"{one['fit_cpu_s']:.2f} CPU s, score {one['score_s']:.3f} s, AUC {one['auc']:.4f}",
                file=sys.stderr,
            )
    return done


def fit_and_score(side, model, split, threads, seed, args):
    """One process from start to end, its clocks read between its stages."""
    name, _, variant = side.partition(":")
    variant = f"{model}:{variant}" if variant else model
    program = [args.binary] if name == "cormorant" else [sys.executable, HERE / "sklearn_models.py"]
    scores = measure.CACHE / "out" / f"scores-{name}.f64"
    scores.parent.mkdir(exist_ok=True)
    argv = [*program, variant, split.train, split.test, scores, "--threads", threads, "--seed", seed]
    stages, rss_mb = staged([str(a) for a in argv], threads)
    return {
        "split": split.name, "model": model, "side": side, "threads": threads, "seed": seed,
        "fit_s": stages["fitted"][0], "fit_cpu_s": stages["fitted"][1],
        "score_s": stages["scored"][0], "score_cpu_s": stages["scored"][1],
        "rss_mb": rss_mb, "load": round(os.getloadavg()[0], 2), "held_out": split.held_out,
        "scores": scores.read_bytes(),
    }  # fmt: skip


def staged(argv, threads):
    """Runs a program that names each stage when it is over and then waits for a line.

    Returns {stage: (wall s, CPU s)} and the peak resident set in MB, read before the last stage ends.
    """
    env = {**os.environ, "OMP_NUM_THREADS": str(threads), "OPENBLAS_NUM_THREADS": str(threads)}
    child = subprocess.Popen(argv, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    clock = ~child.pid << 3 | 2  # Linux: the CPU-time clock of that process, all its threads
    stages, wall, cpu, rss_mb = {}, time.monotonic(), 0.0, 0
    for line in child.stdout:
        now, used = time.monotonic(), time.clock_gettime(clock)
        stages[line.strip()] = (now - wall, used - cpu)
        rss_mb = high_water_mb(child.pid)
        wall, cpu = time.monotonic(), time.clock_gettime(clock)
        child.stdin.write("\n")
        child.stdin.flush()
    if child.wait() != 0:
        raise RuntimeError(f"{' '.join(argv)}: exit {child.returncode}")
    return stages, rss_mb


def high_water_mb(pid):
    """Peak resident set of a process that still runs."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(round(int(line.split()[1]) / 1024) for line in lines if line.startswith("VmHWM:"))


# ---- quality -------------------------------------------------------------------------------


def quality(split, raw, novelty):
    """The figures of detection, the same for both sides; 1 % is the false alarm rate allowed."""
    import numpy as np
    from sklearn.metrics import average_precision_score, roc_auc_score

    scores, truth = np.frombuffer(raw, "<f8"), split.test_names != "normal"
    if len(scores) != len(truth) or not np.isfinite(scores).all():
        raise ValueError(f"{split.name}: {len(scores)} scores for {len(truth)} rows, or not all finite")
    at_1_percent = np.quantile(scores[~truth], 0.99, method="higher")
    kinds = split.held_out or sorted(set(split.test_names[truth]))
    found = {k: float((scores[split.test_names == k] > at_1_percent).mean()) for k in kinds}
    return {
        "auc": float(roc_auc_score(truth, scores)),
        "ap": float(average_precision_score(truth, scores)),
        "recall_half": None if novelty else float((scores[truth] > 0.5).mean()),
        "recall_fpr1": float((scores[truth] > at_1_percent).mean()),
        "recall_fpr1_macro": float(np.mean(list(found.values()))),
        "recall_fpr1_types": found,
        "sha256": hashlib.sha256(raw).hexdigest(),
    }


def optimum(split, args):
    """Logistic regression's coefficients, read off by scoring the origin and the unit vectors,
    and the objective ½|w|² + Σ log(1 + exp(-yz)) there (C = 1, intercept not penalised)."""
    import nslkdd
    import numpy as np

    x, labels = nslkdd.read_matrix(split.train)
    columns = x.shape[1]
    probe = nslkdd.Split("probe", split.train, split.train.with_name("probe.test"), [], None)
    nslkdd.write_matrix(probe.test, np.vstack([np.zeros(columns), np.eye(columns)]), np.zeros(columns + 1))
    found = {}
    for side in PEERS["logistic"] + (["cormorant"] if args.binary.exists() else []):
        p = np.frombuffer(fit_and_score(side, "logistic", probe, 1, 1, args)["scores"], "<f8")
        logit = np.log(p) - np.log1p(-p)
        intercept, w = logit[0], logit[1:] - logit[0]
        margins = np.where(labels == 1, 1.0, -1.0) * (x @ w + intercept)
        objective = 0.5 * w @ w + np.logaddexp(0.0, -margins).sum()
        found[side] = {"objective": float(objective), "intercept": float(intercept), "w": w.tolist()}
    reference = np.array(found["sklearn:newton"]["w"])
    for one in found.values():
        one["largest_difference"] = float(np.abs(np.array(one.pop("w")) - reference).max())
    return found


# ---- the report ----------------------------------------------------------------------------


def publish(record, args):
    text = report(record)
    print(text)
    if args.no_results:
        return
    (HERE / "results").mkdir(exist_ok=True)
    stem = HERE / "results" / f"{time.strftime('%Y-%m-%d')}-{args.tag}"
    stem.with_suffix(".json").write_text(json.dumps(record, indent=1) + "\n")
    stem.with_suffix(".txt").write_text(text + "\n")


def report(record):
    parts = ["models beside scikit-learn on NSL-KDD", measure.described(record["machine"]), ", ".join(record["versions"])]
    parts += ["", "rows: 80/20 by row; medians of runs with different seeds, range of the fit", rows_table(record["rows"])]
    parts += ["", *ratios(record["rows"])]
    if record["types"]:
        parts += ["", "types: whole attack types held out; medians, range of the AUC; recalls at 1 % false alarms", types_table(record["types"])]
    if record["logistic"]:
        parts += ["", "logistic: the minimum reached at C = 1", optimum_table(record["logistic"])]
    return "\n".join(parts)


def grouped(runs, *keys):
    groups = {}
    for run in runs:
        groups.setdefault(tuple(run[k] for k in keys), []).append(run)
    return groups


def median(runs, key):
    return measure.spread([r[key] for r in runs])["median"]


def rows_table(records):
    rows = []
    for (model, threads, side), runs in grouped(records, "model", "threads", "side").items():
        fit = measure.spread([r["fit_s"] for r in runs])
        rows.append([
            f"{model} {side}", threads, len(runs), f"{fit['median']:.2f}", f"{fit['min']:.2f}-{fit['max']:.2f}",
            f"{median(runs, 'fit_cpu_s'):.2f}", f"{median(runs, 'score_s'):.3f}", f"{median(runs, 'score_cpu_s'):.3f}",
            f"{median(runs, 'auc'):.5f}", f"{median(runs, 'ap'):.5f}", f"{median(runs, 'recall_fpr1'):.4f}",
            f"{max(r['rss_mb'] for r in runs)}",
        ])  # fmt: skip
    head = ["model", "threads", "runs", "fit s", "min-max", "fit CPU", "score s", "CPU", "AUC", "AP", "recall@1%", "peak MB"]
    return measure.table(head, rows)


def ratios(records):
    """Ours against scikit-learn, and whether thread counts change our scores."""
    lines = []
    groups = grouped(records, "model", "threads", "side")
    for (model, threads, side), ours in groups.items():
        if side != "cormorant":
            continue
        theirs = groups[model, threads, "sklearn"]
        words = [
            f"{what} {median(theirs, key) / median(ours, key):.2f} x as fast"
            for what, key in (("fit", "fit_s"), ("fit CPU", "fit_cpu_s"), ("score", "score_s"), ("score CPU", "score_cpu_s"))
        ]
        gap = median(ours, "auc") - median(theirs, "auc")
        lines.append(f"{model}, {threads} thread(s): {', '.join(words)}; AUC {gap:+.5f}")
    for (model, seed), runs in grouped([r for r in records if r["side"] == "cormorant"], "model", "seed").items():
        if len({r["sha256"] for r in runs}) > 1:
            lines.append(f"{model} seed {seed}: SCORES DIFFER between thread counts")
    return lines


def types_table(records):
    rows = []
    for (model, split, side), runs in grouped(records, "model", "split", "side").items():
        auc = measure.spread([r["auc"] for r in runs])
        half = "-" if runs[0]["recall_half"] is None else f"{median(runs, 'recall_half'):.3f}"
        rows.append([
            f"{model} {side}", split.split("-")[1], len(runs), f"{auc['median']:.4f}", f"{auc['min']:.4f}-{auc['max']:.4f}",
            f"{median(runs, 'ap'):.4f}", half, f"{median(runs, 'recall_fpr1'):.3f}", f"{median(runs, 'recall_fpr1_macro'):.3f}",
        ])  # fmt: skip
    head = ["model", "draw", "runs", "AUC", "min-max", "AP", "recall at 0.5", "recall@1%", "mean over types"]
    held = {r["split"].split("-")[1]: r["held_out"] for r in records}
    return "\n".join([measure.table(head, rows), *(f"draw {d}: {', '.join(t)}" for d, t in held.items())])


def optimum_table(found):
    rows = [
        [side, f"{one['objective']:.6f}", f"{one['intercept']:.6f}", f"{one['largest_difference']:.2e}"]
        for side, one in found.items()
    ]
    return measure.table(["side", "objective", "intercept", "largest coefficient gap to newton"], rows)


if __name__ == "__main__":
    main()
