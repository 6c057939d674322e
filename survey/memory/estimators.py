"""Stored estimators: audited by type and by structure, and only then built.

The nodes of boosted trees are stored as one table: an object for each of a thousand trees takes a third of a second to
read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import skops.io
from numpy.typing import NDArray
from sklearn.ensemble._hist_gradient_boosting.common import PREDICTOR_RECORD_DTYPE
from sklearn.ensemble._hist_gradient_boosting.predictor import TreePredictor
from skops.io.exceptions import UntrustedTypesFoundException

from survey.errors import ModelError

TRUSTED = (
    "sklearn._loss.link.Interval",
    "sklearn._loss.link.LogitLink",
    "sklearn._loss.link.MultinomialLogit",
    "sklearn._loss.loss.HalfBinomialLoss",
    "sklearn._loss.loss.HalfMultinomialLoss",
    "sklearn._loss._loss.CyHalfBinomialLoss",
    "sklearn._loss._loss.CyHalfMultinomialLoss",
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.ensemble._hist_gradient_boosting.binning._BinMapper",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.isotonic.IsotonicRegression",
    "sklearn.tree._tree.Tree",
    "sklearn.utils._bunch.Bunch",
)
"""Types beyond skops' own list that a model file may hold: the insides of scikit-learn's own classifiers."""


def stored(estimator: Any) -> bytes:
    """Return an estimator as a model file keeps it."""
    boosted = [one for one in _parts(estimator) if isinstance(getattr(one, "_predictors", None), list)]
    trees = [one._predictors for one in boosted]
    try:
        for one in boosted:
            one._predictors = _as_table(one._predictors)
        return skops.io.dumps(estimator)
    finally:
        for one, its in zip(boosted, trees, strict=True):
            one._predictors = its


def _as_table(stages: list[list[TreePredictor]]) -> Any:
    """Trees as their nodes and how many each has; as they are where they ask for categories, or there are none."""
    trees = [tree for stage in stages for tree in stage]
    if not trees or any(len(tree.raw_left_cat_bitsets) for tree in trees):
        return stages
    sizes = np.array([[len(tree.nodes) for tree in stage] for stage in stages], dtype=np.int64)
    return {"nodes": np.concatenate([tree.nodes for tree in trees]), "sizes": sizes}


def _as_trees(path: Path, table: Mapping[str, Any]) -> list[list[TreePredictor]]:
    nodes, sizes = table.get("nodes"), table.get("sizes")
    if not (isinstance(nodes, np.ndarray) and isinstance(sizes, np.ndarray) and _fit_together(nodes, sizes)):
        raise ModelError(
            f"Model {path} holds trees that do not fit together (tampered, damaged, or of another scikit-learn). "
            "Refused."
        )
    parts = iter(np.split(np.ascontiguousarray(nodes), np.cumsum(sizes.ravel())[:-1]))
    none = np.zeros((0, 8), np.uint32)
    return [[TreePredictor(next(parts), none, none) for _ in stage] for stage in sizes]


def _fit_together(nodes: NDArray[Any], sizes: NDArray[Any]) -> bool:
    if nodes.dtype != PREDICTOR_RECORD_DTYPE or nodes.ndim != 1 or sizes.dtype != np.int64 or sizes.ndim != 2:
        return False
    return bool((sizes >= 0).all() and (sizes <= len(nodes)).all() and sizes.sum() == len(nodes))


def strange_types(data: bytes, trust: Sequence[str] = ()) -> tuple[str, ...]:
    """Types in a stored estimator that are neither audited nor trusted by name, sorted."""
    return tuple(sorted(set(skops.io.get_untrusted_types(data=data)) - {*TRUSTED, *trust}))


def built(path: Path, name: str, data: bytes, trust: Sequence[str] = ()) -> Any:
    """Build a stored estimator whose types and trees were looked at first.

    Parameters
    ----------
    path : Path
        Of the model file, for the message.
    name : str
        Of the part.
    data : bytes
    trust : sequence of str
        Types beyond :data:`TRUSTED` that the user takes the risk of.

    Raises
    ------
    ModelError
        A type is not trusted, the part is damaged, or a tree was tampered with.
    """
    try:
        # Every type is audited before anything is built.
        estimator = skops.io.loads(data, trusted=[*TRUSTED, *trust])
    except UntrustedTypesFoundException as error:
        strange = ", ".join(strange_types(data, trust))
        raise ModelError(f"Model {path} holds types that are not trusted ({strange}). Refused.") from error
    except Exception as error:
        # Whatever a damaged archive makes skops raise, to the user it is a damaged model.
        raise ModelError(f"Model {path}: {name} is damaged ({type(error).__name__}: {error}). Refused.") from error
    _check_trees(path, estimator)
    return estimator


def _check_trees(path: Path, estimator: Any) -> None:
    """Refuse trees, wherever in an estimator they hang, that would lead the process out of its memory or round."""
    for item in _parts(estimator):
        if isinstance(getattr(item, "_predictors", None), Mapping):
            item._predictors = _as_trees(path, item._predictors)
        for predictor in (one for stage in getattr(item, "_predictors", ()) for one in stage):
            _check_predictor(path, predictor, item.n_features_in_)
        if hasattr(item, "tree_"):
            _check_tree(path, item.tree_, item.n_features_in_)


def _parts(estimator: Any) -> Iterator[Any]:
    """Yield an estimator and everything that hangs on it, but for tables and what they hold."""
    met: dict[int, Any] = {}
    waiting = [estimator]
    while waiting:
        item = waiting.pop()
        if id(item) in met:
            continue
        met[id(item)] = item
        if isinstance(item, Mapping):
            waiting.extend(item.values())
        elif isinstance(item, list | tuple | set) or (isinstance(item, np.ndarray) and item.dtype == object):
            waiting.extend(np.ravel(item) if isinstance(item, np.ndarray) else item)
        else:
            yield item
            waiting.extend(vars(item).values() if hasattr(item, "__dict__") else ())


def _check_predictor(path: Path, predictor: Any, n_features: int) -> None:
    nodes = predictor.nodes
    inner = nodes["is_leaf"] == 0
    _check_children(path, nodes["left"][inner], nodes["right"][inner], np.flatnonzero(inner), len(nodes))
    _check_asked(path, nodes["feature_idx"][inner], n_features)
    grouped = nodes["bitset_idx"][inner & (nodes["is_categorical"] != 0)]
    _check_asked(path, grouped, min(len(predictor.raw_left_cat_bitsets), len(predictor.binned_left_cat_bitsets)))


def _check_tree(path: Path, tree: Any, n_features: int) -> None:
    inner = tree.children_left != -1
    _check_children(path, tree.children_left[inner], tree.children_right[inner], np.flatnonzero(inner), tree.node_count)
    _check_asked(path, tree.feature[inner], n_features)


def _check_asked(path: Path, asked: NDArray[Any], count: int) -> None:
    if (asked < 0).any() or (asked >= count).any():
        raise ModelError(f"Model {path} holds a tree that asks for a feature it has not. Refused.")


def _check_children(path: Path, left: NDArray[Any], right: NDArray[Any], parent: NDArray[Any], count: int) -> None:
    if count < 1:
        raise ModelError(f"Model {path} holds a tree without a root (tampered or damaged). Refused.")
    children = np.concatenate([left, right]).astype(np.int64)
    parents = np.concatenate([parent, parent])
    # Trees are stored with children after their parents; so a larger index can make no cycle.
    if len(children) and ((children <= parents).any() or (children >= count).any()):
        raise ModelError(f"Model {path} holds a tree whose branches lead astray (tampered or damaged). Refused.")
    if len(np.unique(children)) != len(children):
        raise ModelError(f"Model {path} holds a tree in which branches meet (tampered or damaged). Refused.")
