#!/usr/bin/env python3
"""Checks that every convex model of ours reaches the minimum its peer reaches.

Each case fits our model and scikit-learn's on the same matrix with tight tolerances, and computes both
objectives here, from the coefficients or the multipliers. What must hold: our objective is at most 1e-6 of
itself above the better one, and at least 99.99 % of the rows are decided equally. CPU seconds stand beside,
of one thread each. A peer that stops at its `max_iter` is marked: it may then be above the minimum.

Data sets: `rows`, the first rows of NSL-KDD one-hot (122 columns, normal or attack); `five`, the same with
the four kinds of attack apart; `mails`, Ling-Spam's word counts, of which both sides make sparse rows.
Writes results/<date>-convex.{json,txt}.
"""

import argparse
import json
import os
import sys
import time
import warnings
from pathlib import Path

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")

import measure
import models

GAP, AGREE = 1e-6, 0.9999
L1 = {"penalty": "l1"}
NET = {"penalty": "elastic-net", "l1_ratio": 0.3}
# Our model, its parameters, data sets, and the peer by name (see `peer`).
CASES = [
    ("logistic", {}, ["rows", "five", "mails"], "newton"),
    ("logistic", L1, ["rows", "five"], "saga"),
    ("logistic", NET, ["rows", "five"], "saga"),
    ("linear-svm", {"loss": "hinge"}, ["rows", "mails"], "libsvm"),
    ("linear-svm", {"loss": "hinge", "intercept_scaling": 1}, ["rows", "mails"], "liblinear"),
    ("linear-svm", {"loss": "squared-hinge", "intercept_scaling": 1}, ["rows", "mails"], "liblinear"),
    ("svm", {"kernel": "linear"}, ["rows", "mails"], "libsvm"),
    ("svm", {"kernel": "rbf"}, ["rows"], "libsvm"),
    ("svm", {"kernel": "poly"}, ["rows"], "libsvm"),
    ("svm", {"kernel": "sigmoid"}, ["rows"], "libsvm"),
]
TIGHT = {"logistic": {"tol": 1e-10, "max_iter": 10_000}, "linear-svm": {"tol": 1e-9}, "svm": {"tol": 1e-6}}


def main():
    args = arguments()
    try:
        import nslkdd
        import tables
    except ImportError as error:
        return print(f"skipped: convex: {error} (benches/setup.sh installs what it needs)")
    path = nslkdd.source()
    if path is None:
        return print("skipped: convex: the shared data are not there (../shared)")
    makers = {
        "rows": lambda: kdd(path, args.rows, False),
        "five": lambda: kdd(path, args.rows, True),
        "mails": lambda: tables.mails(path.parent.parent / "lingspam"),
    }
    record = {"machine": measure.machine(), "versions": models.versions(), "runs": []}
    splits = {}
    for model, params, names, kind in CASES:
        for name in names if model in args.models else []:
            if name in args.data:
                splits[name] = splits.get(name) or makers[name]()
                record["runs"].append(compared(model, params, splits[name], kind, args))
                print(json.dumps(record["runs"][-1]), file=sys.stderr)
    text = report(record, args)
    print(text)
    if not args.no_results:
        models.publish_as(record, text, args.tag)


def arguments():
    every, data = sorted({model for model, *_ in CASES}), ["rows", "five", "mails"]
    p = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    p.add_argument("models", nargs="*", default=every, metavar="MODEL", help=f"of {', '.join(every)} (default: all)")
    p.add_argument("--data", type=lambda s: s.split(","), default=data, help=f"of {','.join(data)} (default: all)")
    p.add_argument("--binary", type=Path, default=measure.ROOT / "target/release/examples/bench_models")
    p.add_argument("--rows", type=int, default=5000, help="rows of NSL-KDD")
    p.add_argument("--passes", type=int, default=20_000, help="passes of saga at most")
    p.add_argument("--tag", default="convex", help="results/<date>-TAG.{json,txt}")
    p.add_argument("--no-results", action="store_true")
    args = p.parse_args()
    if not args.binary.exists():
        p.error(f"{args.binary} is not there (cargo build --release -p cormorant-learn --example bench_models)")
    return args


def kdd(path, rows, kinds):
    """The first rows of a seeded order; labels are 0 for normal and 1, or the number of the kind of attack."""
    import nslkdd
    import numpy as np

    x, names = nslkdd.load(path)
    kept = np.random.default_rng(1).permutation(len(x))[:rows]
    x, names = x[kept], names[kept]
    low, high = x.min(axis=0), x.max(axis=0)
    kind = {attack: place for place, group in enumerate(nslkdd.CATEGORIES.values(), 1) for attack in group}
    labels = np.array([kind.get(name, 0) if kinds else name != "normal" for name in names])
    folder = measure.CACHE / "matrices"
    folder.mkdir(parents=True, exist_ok=True)
    name = "five" if kinds else "rows"
    file = folder / f"convex-{name}-{rows}.train"
    nslkdd.write_matrix(file, (x - low) / np.where(high > low, high - low, 1.0), labels)
    return nslkdd.Split(name, file, file, [], None)


def compared(model, params, split, kind, args):
    import numpy as np
    import nslkdd

    x, y = nslkdd.read_matrix(split.train)
    ours, our_cpu = fitted(model, params, split, args)
    with warnings.catch_warnings(record=True) as raised:
        warnings.simplefilter("always")
        peer_model = peer(model, params, kind, len(set(y)), args)
        start = time.process_time()
        rows = sparse(x) if split.sparse else x
        peer_model.fit(rows, y)
        peer_cpu = time.process_time() - start
    if model == "svm":
        a, b = machine_of_ours(ours), machine_of_peer(peer_model)
        pair = [(dual(m), decided(m, x) > 0) for m in (a, b)]
    else:
        a = (ours.get("sums", ours)[k] for k in ("weights", "intercepts"))
        b = (dense(peer_model.coef_), peer_model.intercept_)
        pair = [linear(model, params, np.reshape(w, (-1, x.shape[1])), np.ravel(c), x, y) for w, c in (a, b)]
    (our_value, our_side), (peer_value, peer_side) = pair
    best = min(our_value, peer_value)
    return {
        "model": model, "params": params, "data": split.name, "peer": kind,
        "ours": our_value, "peers": peer_value, "above": (our_value - best) / abs(best),
        "peer_above": (peer_value - best) / abs(best), "agree": float(np.mean(our_side == peer_side)),
        "cpu_s": our_cpu, "peer_cpu_s": peer_cpu,
        "peer_stopped": any("converge" in str(w.message) or "max_iter" in str(w.message) for w in raised),
    }  # fmt: skip


def sparse(x):
    from scipy.sparse import csr_matrix

    return csr_matrix(x)


def dense(x):
    return x.toarray() if hasattr(x, "toarray") else x


def fitted(model, params, split, args):
    """Our model as its file's fields, and the CPU seconds of the fit."""
    out = measure.CACHE / "out"
    out.mkdir(exist_ok=True)
    given = [f"{key}={value}" for key, value in {**TIGHT[model], **params}.items()]
    argv = [args.binary, model, split.train, split.train, out / "convex.f64", "--fields", out / "convex.json", *given]
    stages, _ = models.staged([str(a) for a in argv + (["--sparse"] if split.sparse else [])], 1)
    return json.loads((out / "convex.json").read_text()), stages["fitted"][1]


def peer(model, params, kind, classes, args):
    from sklearn.linear_model import LogisticRegression
    from sklearn.svm import SVC, LinearSVC

    if kind == "newton":
        return LogisticRegression(solver="newton-cg" if classes == 2 else "newton-cholesky", tol=1e-10, max_iter=1000)
    if kind == "saga":
        ratio = 1.0 if params["penalty"] == "l1" else params["l1_ratio"]
        return LogisticRegression(
            solver="saga", penalty="elasticnet", l1_ratio=ratio, tol=1e-9, max_iter=args.passes, random_state=1
        )
    if kind == "liblinear":
        loss = params["loss"].replace("-", "_")
        return LinearSVC(loss=loss, dual=True, tol=1e-10, max_iter=100_000, random_state=1)
    return SVC(kernel=params.get("kernel", "linear"), tol=1e-7, cache_size=1000)


# ---- objectives ----------------------------------------------------------------------------


def linear(model, params, w, c, x, y):
    """(objective as scikit-learn states it with C = 1, class of each row)."""
    import numpy as np

    margins = x @ w.T + c
    if len(w) == 1:
        ahead = np.where(y == 1, 1.0, -1.0) * margins[:, 0]
        side = margins[:, 0] > 0
    else:
        side = margins.argmax(axis=1)
    if model == "logistic":
        if len(w) == 1:
            loss = np.logaddexp(0, -ahead).sum()
        else:
            top = margins.max(axis=1)
            loss = (np.log(np.exp(margins - top[:, None]).sum(axis=1)) + top - margins[np.arange(len(y)), y]).sum()
    else:
        short = np.maximum(0, 1 - ahead)
        loss = (short if params["loss"] == "hinge" else short**2).sum()
    ratio = {"l1": 1.0, "elastic-net": params.get("l1_ratio")}.get(params.get("penalty"), 0.0)
    penalty = ratio * np.abs(w).sum() + (1 - ratio) * 0.5 * (w**2).sum()
    if "intercept_scaling" in params:
        penalty += 0.5 * float(c[0] / params["intercept_scaling"]) ** 2
    return float(penalty + loss), side


def machine_of_ours(fields):
    """(vectors, multipliers with sign, offset, kernel)."""
    import numpy as np
    from scipy.sparse import csr_matrix

    v = fields["vectors"]
    vectors = csr_matrix((v["values"], v["places"], v["starts"]), shape=(len(v["norms"]), v["columns"])).toarray()
    coefs = np.array([sum(coef for _, coef in row) for row in fields["coefs"]])
    kernel = fields["kernel"]
    name, constants = (kernel, {}) if isinstance(kernel, str) else next(iter(kernel.items()))
    return vectors, coefs, -fields["pairs"][0]["rho"], name, constants


def machine_of_peer(model):
    constants = {"gamma": model._gamma, "degree": model.degree, "coef0": model.coef0}
    return dense(model.support_vectors_), dense(model.dual_coef_).ravel(), model.intercept_[0], model.kernel, constants


def kernel(machine, rows):
    from sklearn.metrics import pairwise as p

    vectors, _, _, name, k = machine
    if name == "linear":
        return p.linear_kernel(rows, vectors)
    if name == "rbf":
        return p.rbf_kernel(rows, vectors, gamma=k["gamma"])
    if name == "poly":
        return p.polynomial_kernel(rows, vectors, degree=k["degree"], gamma=k["gamma"], coef0=k["coef0"])
    return p.sigmoid_kernel(rows, vectors, gamma=k["gamma"], coef0=k["coef0"])


def dual(machine):
    """½ αᵀQα - Σα, which the solution minimises."""
    import numpy as np

    coefs = machine[1]
    return float(0.5 * coefs @ kernel(machine, machine[0]) @ coefs - np.abs(coefs).sum())


def decided(machine, rows):
    return kernel(machine, rows) @ machine[1] + machine[2]


# ---- the report ----------------------------------------------------------------------------


def report(record, args):
    runs = record["runs"]
    passed = lambda r: r["above"] <= GAP and r["agree"] >= AGREE
    rows = [
        [
            " ".join([r["model"], *(f"{k}={v}" for k, v in r["params"].items())]), r["data"],
            r["peer"] + (" (stopped)" if r["peer_stopped"] else ""), f"{r['ours']:.8g}", f"{r['peers']:.8g}",
            f"{r['above']:.1e}", f"{r['peer_above']:.1e}", f"{100 * r['agree']:.3f}", f"{r['cpu_s']:.2f}",
            f"{r['peer_cpu_s']:.2f}", "yes" if passed(r) else "NO",
        ]
        for r in runs
    ]  # fmt: skip
    head = [
        "model", "data", "peer", "our objective", "the peer's", "above", "peer above", "% equal", "CPU s",
        "peer CPU s", "holds",
    ]  # fmt: skip
    failed = sum(not passed(r) for r in runs)
    return "\n".join([
        f"convex models beside scikit-learn's, tight tolerances; {args.rows} rows of NSL-KDD",
        "above: by what share of the better objective each is above it; % equal: rows decided equally",
        "CPU s of the svm: six machines, five of them for probabilities, beside the peer's one; so for linear-svm",
        measure.described(record["machine"]), ", ".join(record["versions"]), "",
        measure.table(head, rows), "",
        f"{len(runs) - failed} of {len(runs)} hold: at most {GAP:g} above and at least {100 * AGREE:g} % equal",
    ])  # fmt: skip


if __name__ == "__main__":
    main()
