"""The peers' side of `models.py`: scikit-learn, LightGBM and XGBoost with their defaults.

XGBoost grows leaf by leaf here, with as many leaves and bins and the same learning rate as the others.

Usage: sklearn_models.py MODEL TRAIN TEST SCORES --threads N --seed N. After each stage (loaded,
fitted, scored) it prints the stage's name and waits for a line, so that the runner can read the
clocks; `crates/learn/examples/bench_models.rs` talks in the same way.
"""

import argparse
import sys

import numpy as np
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier, IsolationForest, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import BernoulliNB, GaussianNB, MultinomialNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier

import nslkdd



def lightgbm(args):
    from lightgbm import LGBMClassifier

    return LGBMClassifier(n_jobs=args.threads, random_state=args.seed, verbose=-1)


def xgboost(args):
    from xgboost import XGBClassifier

    return XGBClassifier(
        n_estimators=100, learning_rate=0.1, max_leaves=31, max_depth=0, grow_policy="lossguide", max_bin=255,
        tree_method="hist", n_jobs=args.threads, random_state=args.seed,
    )  # fmt: skip


MODELS = {
    "random-forest": lambda a: RandomForestClassifier(n_jobs=a.threads, random_state=a.seed),
    "extra-trees": lambda a: ExtraTreesClassifier(n_jobs=a.threads, random_state=a.seed),
    "svm": lambda a: CalibratedClassifierCV(SVC(random_state=a.seed), cv=5, ensemble=False),
    "k-neighbours": lambda a: KNeighborsClassifier(n_jobs=a.threads),
    "decision-tree": lambda a: DecisionTreeClassifier(random_state=a.seed),
    "gradient-boosting": lambda a: HistGradientBoostingClassifier(early_stopping=False, random_state=a.seed),
    "gradient-boosting:lightgbm": lightgbm,
    "gradient-boosting:xgboost": xgboost,
    "logistic": lambda a: LogisticRegression(max_iter=10_000),
    "logistic:newton": lambda a: LogisticRegression(solver="newton-cholesky", tol=1e-10, max_iter=200),
    "logistic-l1": lambda a: LogisticRegression(penalty="l1", solver="liblinear", random_state=a.seed),
    # margins alone are no probabilities: ours come from five parts held out, so theirs do
    "linear-svm": lambda a: CalibratedClassifierCV(LinearSVC(random_state=a.seed), cv=5, ensemble=False),
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
    p.add_argument("--sparse", action="store_true")
    args = p.parse_args()

    (x, y), (test, _) = nslkdd.read_matrix(args.train), nslkdd.read_matrix(args.test)
    if args.sparse:
        from scipy.sparse import csr_matrix

        x, test = csr_matrix(x), csr_matrix(test)
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
