"""scikit-learn's side of `models.py`, with scikit-learn's defaults.

Usage: sklearn_models.py MODEL TRAIN TEST SCORES --threads N --seed N. After each stage (loaded,
fitted, scored) it prints the stage's name and waits for a line, so that the runner can read the
clocks; `crates/learn/examples/bench_models.rs` talks in the same way.
"""

import argparse
import sys

import numpy as np
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import BernoulliNB, GaussianNB, MultinomialNB
from sklearn.neural_network import MLPClassifier
from sklearn.tree import DecisionTreeClassifier

import nslkdd

MODELS = {
    "random-forest": lambda a: RandomForestClassifier(n_jobs=a.threads, random_state=a.seed),
    "decision-tree": lambda a: DecisionTreeClassifier(random_state=a.seed),
    "logistic": lambda a: LogisticRegression(max_iter=10_000),
    "logistic:newton": lambda a: LogisticRegression(solver="newton-cholesky", tol=1e-10, max_iter=200),
    "gaussian-nb": lambda a: GaussianNB(),
    "bernoulli-nb": lambda a: BernoulliNB(),
    "multinomial-nb": lambda a: MultinomialNB(),
    "mlp": lambda a: MLPClassifier(random_state=a.seed),
    "isolation-forest": lambda a: IsolationForest(n_jobs=a.threads, random_state=a.seed),
}


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    for name in ("model", "train", "test", "scores"):
        p.add_argument(name)
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--seed", type=int, default=1)
    args = p.parse_args()

    (x, y), (test, _) = nslkdd.read_matrix(args.train), nslkdd.read_matrix(args.test)
    if args.model == "k-means":
        return k_means(x, args)
    if args.model == "pca":
        return components(x, args)
    model = MODELS[args.model](args)
    stage("loaded")
    model.fit(x) if args.model == "isolation-forest" else model.fit(x, y)
    stage("fitted")
    scores = -model.score_samples(test) if args.model == "isolation-forest" else model.predict_proba(test)[:, 1]
    stage("scored")
    np.asarray(scores, "<f8").tofile(args.scores)


def k_means(x, args):
    """Groups the training rows; the scores are the inertia and the steps."""
    stage("loaded")
    found = KMeans(10, random_state=args.seed).fit(x)
    stage("fitted")
    stage("scored")
    np.asarray([found.inertia_, found.n_iter_], "<f8").tofile(args.scores)


def components(x, args):
    """Ten principal components; the scores are their shares in the variance, and the weights of the first."""
    stage("loaded")
    found = PCA(10, random_state=args.seed).fit(x)
    stage("fitted")
    stage("scored")
    np.asarray([*found.explained_variance_ratio_, *found.components_[0]], "<f8").tofile(args.scores)


def stage(name):
    print(name, flush=True)
    sys.stdin.readline()


if __name__ == "__main__":
    main()
