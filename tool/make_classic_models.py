#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the classic models of test/model/classic and, beside each, examples and what must come out: NAME.mlmodel and
NAME.json, {"in": [...], "out": [...]}. Expected values are scikit-learn's, or formulas written out in NumPy.
Needs coremltools and the scikit-learn that it can convert (1.5.1). Run it from the root; the result is committed."""

import json
import pathlib

import coremltools as ct
import numpy as np
from coremltools.proto import Model_pb2
from scipy.stats import norm
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, SVR

FOLDER = pathlib.Path("test/model/classic")
random = np.random.default_rng(5)
X = random.normal(size=(60, 4)).astype(np.float32).astype(float)
TEST = random.normal(size=(6, 4)).astype(np.float32).astype(float)
Y = X @ [1.0, -2.0, 0.5, 0.0] + np.sin(2 * X[:, 3])
CLASS = np.digitize(Y, [-1, 1])
WORDS = np.array(["low", "middle", "high"])[CLASS]


def plain(value):
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value


def save(name, spec, examples, results):
    (FOLDER / f"{name}.mlmodel").write_bytes(spec.SerializeToString())
    data = {"in": [plain(e) for e in examples], "out": [plain(r) for r in results]}
    (FOLDER / f"{name}.json").write_text(json.dumps(data) + "\n")


def converted(name, model, outputs):
    features = [("input", ct.models.datatypes.Array(4))]
    spec = ct.converters.sklearn.convert(model, features, "y").get_spec()
    save(name, spec, [{"input": x} for x in TEST], outputs(TEST))


def regression(model):
    return lambda x: [{"y": v} for v in model.predict(x)]


def classes(model, probable=True):
    def outputs(x):
        rows = [{"y": label} for label in model.predict(x)]
        for row, p in zip(rows, model.predict_proba(x) if probable else []):
            row["classProbability"] = dict(zip(model.classes_.tolist(), p))
        return rows

    return outputs


def from_scikit_learn():
    forest = RandomForestRegressor(7, max_depth=4, random_state=1).fit(X, Y)
    converted("forest", forest, regression(forest))
    forest_of_words()
    boosted = GradientBoostingClassifier(n_estimators=4, max_depth=2, init="zero", random_state=1).fit(X, Y > 0)
    boosted.fit(X, (Y > 0).astype(int))
    converted("boosted", boosted, classes(boosted))
    logistic()
    for kernel in ("linear", "poly", "rbf", "sigmoid"):
        machine = SVR(kernel=kernel, gamma=0.3, coef0=0.2, degree=2).fit(X, Y)
        converted("vectors_" + kernel, machine, regression(machine))
    machine = SVC(kernel="rbf", gamma=0.4, probability=True, random_state=1).fit(X, CLASS)
    converted("vector_classes", machine, classes(machine))
    nearest = KNeighborsClassifier(5).fit(X, CLASS)
    converted("neighbours", nearest, classes(nearest, False))
    both = Pipeline([("s", StandardScaler()), ("f", RandomForestClassifier(3, max_depth=3, random_state=2))]).fit(X, WORDS)
    converted("pipeline", both, classes(both, False))


# ---- by hand: what the converter does not take, or takes from older versions only


def blank(inputs, outputs, predicted=None, version=5):
    """inputs and outputs: {name: kind}; a kind is a list of lengths, or a word."""
    spec = Model_pb2.Model(specificationVersion=version)
    for features, described in ((inputs, spec.description.input), (outputs, spec.description.output)):
        for name, kind in features.items():
            feature = described.add(name=name)
            optional = isinstance(kind, str) and kind.endswith("?")
            set_kind(feature.type, kind.rstrip("?") if isinstance(kind, str) else kind)
            feature.type.isOptional = optional
    if predicted:
        spec.description.predictedFeatureName = predicted
    return spec


def set_kind(to, kind):
    if isinstance(kind, list):
        to.multiArrayType.shape.extend(kind)
        to.multiArrayType.dataType = 65600
    elif kind in ("int64", "double", "string"):
        getattr(to, kind + "Type").SetInParent()
    elif kind in ("int64s", "words"):
        which = to.sequenceType
        (which.int64Type if kind == "int64s" else which.stringType).SetInParent()
    else:
        key = to.dictionaryType
        (key.int64KeyType if kind == "by int64" else key.stringKeyType).SetInParent()


def classifier(model):
    spec = blank({"input": [4]}, {"y": "string", "p": "by word"}, "y")
    spec.description.predictedProbabilitiesName = "p"
    results = [{"y": y, "p": dict(zip(model.classes_, p))} for y, p in zip(model.predict(TEST), model.predict_proba(TEST))]
    return spec, [{"input": x} for x in TEST], results


def forest_of_words():
    forest = RandomForestClassifier(5, max_depth=3, random_state=1).fit(X, WORDS)
    spec, examples, results = classifier(forest)
    model = spec.treeEnsembleClassifier
    model.stringClassLabels.vector.extend(forest.classes_)
    model.treeEnsemble.numPredictionDimensions = 3
    for k, estimator in enumerate(forest.estimators_):
        t = estimator.tree_
        for i in range(t.node_count):
            node = model.treeEnsemble.nodes.add(treeId=k, nodeId=i)
            if t.children_left[i] >= 0:
                node.branchFeatureIndex, node.branchFeatureValue = int(t.feature[i]), t.threshold[i]
                node.trueChildNodeId, node.falseChildNodeId = int(t.children_left[i]), int(t.children_right[i])
                continue
            node.nodeBehavior = 6
            for c, share in enumerate(t.value[i, 0] / t.value[i, 0].sum() / 5):
                node.evaluationInfo.add(evaluationIndex=c, evaluationValue=share)
    save("forest_words", spec, examples, results)


def logistic():
    linear = LogisticRegression().fit(X, WORDS)
    spec, examples, results = classifier(linear)
    spec.glmClassifier.stringClassLabels.vector.extend(linear.classes_)
    for k in (1, 2):  # against the first class
        spec.glmClassifier.weights.add().value.extend(linear.coef_[k] - linear.coef_[0])
        spec.glmClassifier.offset.append(linear.intercept_[k] - linear.intercept_[0])
    save("linear_reference", spec, examples, results)


def trees_of_all_kinds():
    spec = blank({"a": "double?", "b": "double"}, {"y": "double"}, "y")
    trees = spec.treeEnsembleRegressor.treeEnsemble
    trees.numPredictionDimensions = 1
    trees.basePredictionValue.append(0.25)
    for behavior in range(6):
        for missing in (False, True):
            tree = 2 * behavior + missing
            trees.nodes.add(treeId=tree, nodeId=7, nodeBehavior=behavior, branchFeatureIndex=0, branchFeatureValue=0.5,
                            trueChildNodeId=3, falseChildNodeId=1, missingValueTracksTrueChild=missing)
            for node, value in ((3, 2.0**tree), (1, 0.0)):
                trees.nodes.add(treeId=tree, nodeId=node, nodeBehavior=6).evaluationInfo.add(evaluationValue=value)
    tests = [np.less_equal, np.less, np.greater_equal, np.greater, np.equal, np.not_equal]

    def y(a):
        yes = [m if a is None else bool(t(a, 0.5)) for t in tests for m in (False, True)]
        return 0.25 + sum(2.0**k for k, v in enumerate(yes) if v)

    values = [0.25, 0.5, 0.75, None]
    examples = [{"b": 1.0} | ({} if a is None else {"a": a}) for a in values]
    save("tree_behaviors", spec, examples, [{"y": y(a)} for a in values])


def trees_with_reference():
    spec = blank({"x": [2]}, {"y": "int64", "p": "by int64"}, "y")
    spec.description.predictedProbabilitiesName = "p"
    model = spec.treeEnsembleClassifier
    model.postEvaluationTransform = 3
    model.int64ClassLabels.vector.extend([4, 5, 6])
    trees = model.treeEnsemble
    trees.numPredictionDimensions = 2
    trees.basePredictionValue.extend([0.5, -0.5])
    trees.nodes.add(nodeId=0, nodeBehavior=1, branchFeatureIndex=1, branchFeatureValue=0.0, trueChildNodeId=1, falseChildNodeId=2)
    for node, leaf in ((1, (1.0, 0.0)), (2, (-2.0, 3.0))):
        added = trees.nodes.add(nodeId=node, nodeBehavior=6)
        for k, v in enumerate(leaf):
            added.evaluationInfo.add(evaluationIndex=k, evaluationValue=v)
    results = []
    for leaf in ((1.5, -0.5), (-1.5, 2.5)):
        p = np.exp([0.0, *leaf])
        p /= p.sum()
        results.append({"y": 4 + int(p.argmax()), "p": dict(zip([4, 5, 6], p))})
    save("tree_reference", spec, [{"x": [0, -1]}, {"x": [0, 1]}], results)


def linear_links():
    w, b = np.array([[0.5, -1.0, 0.25, 2.0]]), np.array([0.1])
    for name, link, f in (("logit", 1, lambda s: 1 / (1 + np.exp(-s))), ("probit", 2, norm.cdf)):
        spec = blank({"input": [4]}, {"y": "double"}, "y")
        spec.glmRegressor.weights.add().value.extend(w[0])
        spec.glmRegressor.offset.extend(b)
        spec.glmRegressor.postEvaluationTransform = link
        save("linear_" + name, spec, [{"input": x} for x in TEST], [{"y": f(w[0] @ x + b[0])} for x in TEST])
    w = random.normal(size=(3, 4))
    for name, link, f in (("rest", 0, lambda s: 1 / (1 + np.exp(-s))), ("rest_probit", 1, norm.cdf)):
        spec = blank({"input": [4]}, {"y": "string", "p": "by word"}, "y")
        spec.description.predictedProbabilitiesName = "p"
        model = spec.glmClassifier
        for row in w:
            model.weights.add().value.extend(row)
        model.offset.extend([0.1, -0.1, 0.0])
        model.classEncoding, model.postEvaluationTransform = 1, link
        model.stringClassLabels.vector.extend("abc")
        p = [f(w @ x + [0.1, -0.1, 0.0]) for x in TEST]
        save("linear_" + name, spec, [{"input": x} for x in TEST],
             [{"y": "abc"[int(q.argmax())], "p": dict(zip("abc", q / q.sum()))} for q in p])


def weighted_neighbours():
    spec = blank({"input": [4]}, {"y": "string", "p": "by word", "near": "words"}, "y")
    spec.description.predictedProbabilitiesName = "p"
    model = spec.kNearestNeighborsClassifier
    index = model.nearestNeighborsIndex
    index.numberOfDimensions = 4
    index.singleKdTreeIndex.leafSize = 30
    index.squaredEuclideanDistance.SetInParent()
    for x in X:
        index.floatSamples.add().vector.extend(x)
    model.numberOfNeighbors.defaultValue = 4
    model.stringClassLabels.vector.extend(WORDS)
    model.inverseDistanceWeighting.SetInParent()
    reference = KNeighborsClassifier(4, weights="distance").fit(X, WORDS)
    points = np.concatenate([TEST, X[:1]])
    places = reference.kneighbors(points, return_distance=False)
    results = [{"y": y, "p": dict(zip(reference.classes_, p)), "near": WORDS[near].tolist()}
               for y, p, near in zip(reference.predict(points), reference.predict_proba(points), places)]
    save("neighbours_weighted", spec, [{"input": x} for x in points], results)


def categories():
    spec = blank({"x": "string"}, {"y": "int64"})
    spec.categoricalMapping.stringToInt64Map.map.update({"red": 3, "blue": -1})
    spec.categoricalMapping.int64Value = 9
    save("map_words", spec, [{"x": "red"}, {"x": "blue"}, {"x": "green"}], [{"y": 3}, {"y": -1}, {"y": 9}])
    spec = blank({"x": "int64s"}, {"y": "words"})
    spec.categoricalMapping.int64ToStringMap.map.update({1: "one", 2: "two"})
    spec.categoricalMapping.strValue = "many"
    save("map_sequence", spec, [{"x": [1, 2, 3]}, {"x": [2]}], [{"y": ["one", "two", "many"]}, {"y": ["two"]}])
    spec = blank({"x": "string"}, {"y": [3]})
    spec.oneHotEncoder.stringCategories.vector.extend(["a", "b", "c"])
    spec.oneHotEncoder.handleUnknown = 1
    save("one_hot", spec, [{"x": "b"}, {"x": "z"}], [{"y": [0.0, 1.0, 0.0]}, {"y": [0.0, 0.0, 0.0]}])
    spec = blank({"x": "int64"}, {"y": "by int64"})
    spec.oneHotEncoder.int64Categories.vector.extend([7, 5])
    spec.oneHotEncoder.outputSparse = True
    save("one_hot_sparse", spec, [{"x": 5}, {"x": 7}], [{"y": {1: 1.0}}, {"y": {0: 1.0}}])
    spec = blank({"x": "by word"}, {"y": "by int64"})
    spec.dictVectorizer.stringToIndex.vector.extend(["a", "b", "c"])
    save("dictionary", spec, [{"x": {"c": 2.5, "a": 0.0}}], [{"y": {0: 0.0, 2: 2.5}}])


def vectors_of_features():
    spec = blank({"d": "by int64", "n": "double", "a": [2], "k": "int64?"}, {"y": [7]})
    for name, length in (("n", 1), ("d", 3), ("a", 2), ("k", 1)):
        spec.featureVectorizer.inputList.add(inputColumn=name, inputDimensions=length)
    save("vectorizer", spec, [{"d": {"2": 1.5}, "n": 4.0, "a": [5.0, 6.0]}, {"d": {}, "n": 0.5, "a": [1, 2], "k": 3}],
         [{"y": [4.0, 0.0, 0.0, 1.5, 5.0, 6.0, 0.0]}, {"y": [0.5, 0.0, 0.0, 0.0, 1.0, 2.0, 3.0]}])
    spec = blank({"x": [2, 2]}, {"y": [3]})
    spec.arrayFeatureExtractor.extractIndex.extend([3, 0, 3])
    save("extractor", spec, [{"x": [[1.0, 2.0], [3.0, 4.0]]}], [{"y": [4.0, 1.0, 4.0]}])
    spec = blank({"x": [3]}, {"y": "int64"})
    spec.arrayFeatureExtractor.extractIndex.append(1)
    save("extractor_one", spec, [{"x": [1.0, 2.0, 3.0]}], [{"y": 2}])
    spec = blank({"x": [3]}, {"y": [3]})
    spec.scaler.shiftValue.append(1.0)
    spec.scaler.scaleValue.extend([2.0, 3.0, 4.0])
    save("scaler", spec, [{"x": [1.0, 2.0, 3.0]}], [{"y": [4.0, 9.0, 16.0]}])
    for k, name in enumerate(("max", "l1", "l2")):
        spec = blank({"x": [3]}, {"y": [3]})
        spec.normalizer.normType = k
        x = np.array([[3.0, 0.0, -4.0], [0.0, 0.0, 0.0]])
        size = [4.0, 7.0, 5.0][k]
        save("normalizer_" + name, spec, [{"x": v} for v in x], [{"y": x[0] / size}, {"y": x[1]}])
    spec = blank({"x": [3]}, {"y": [2, 3]})
    spec.classConfidenceThresholding.SetInParent()
    save("thresholding", spec, [{"x": [0.5, 0.25, 0.0]}], [{"y": [[0.5, 0.25, 0.0], [1.0, 1.0, 1.0]]}])
    spec = blank({"a": "string", "b": [2]}, {"b": [2], "a": "string"})
    spec.identity.SetInParent()
    save("identity", spec, [{"a": "word", "b": [1.0, 2.0]}], [{"a": "word", "b": [1.0, 2.0]}])


def imputers():
    nan = float("nan")
    spec = blank({"x": [3]}, {"y": [3]})
    spec.imputer.imputedDoubleArray.vector.extend([7.0, 8.0, 9.0])
    spec.imputer.replaceDoubleValue = nan
    save("imputer", spec, [{"x": [1.0, nan, 3.0]}, {"x": [nan, 0.0, nan]}], [{"y": [1.0, 8.0, 3.0]}, {"y": [7.0, 0.0, 9.0]}])
    spec = blank({"x": "int64?"}, {"y": "int64"})
    spec.imputer.imputedInt64Value = 5
    spec.imputer.replaceInt64Value = -1
    save("imputer_int64", spec, [{"x": 3}, {"x": -1}], [{"y": 3}, {"y": 5}])
    spec = blank({"x": "string"}, {"y": "string"})
    spec.imputer.imputedStringValue, spec.imputer.replaceStringValue = "unknown", ""
    save("imputer_words", spec, [{"x": ""}, {"x": "a"}], [{"y": "unknown"}, {"y": "a"}])
    spec = blank({"x": "by word"}, {"y": "by word"})
    spec.imputer.imputedStringDictionary.map.update({"a": 1.0, "b": 2.0})
    spec.imputer.replaceDoubleValue = 0.0
    save("imputer_dictionary", spec, [{"x": {"a": 0.0, "b": 5.0, "c": 0.0}}], [{"y": {"a": 1.0, "b": 5.0, "c": 0.0}}])


def detector():
    spec = blank({"scores": [4, 2], "boxes": [4, 4], "iou": "double?", "sure": "double?"}, {"s": [0, 2], "b": [0, 4]})
    for feature, width in zip(spec.description.output, (2, 4)):
        del feature.type.multiArrayType.shape[:]
        feature.type.multiArrayType.shape.extend([1, width])
        ranges = feature.type.multiArrayType.shapeRange.sizeRanges
        ranges.add(lowerBound=0, upperBound=3), ranges.add(lowerBound=width, upperBound=width)
    model = spec.nonMaximumSuppression
    model.pickTop.perClass = True
    model.stringClassLabels.vector.extend(["cat", "dog"])
    model.iouThreshold, model.confidenceThreshold = 0.4, 0.2
    model.confidenceInputFeatureName, model.coordinatesInputFeatureName = "scores", "boxes"
    model.iouThresholdInputFeatureName, model.confidenceThresholdInputFeatureName = "iou", "sure"
    model.confidenceOutputFeatureName, model.coordinatesOutputFeatureName = "s", "b"
    s = [[0.5, 0.1], [0.9, 0.2], [0.1, 0.6], [0.1, 0.15]]
    b = [[0.5, 0.5, 0.4, 0.4], [0.52, 0.5, 0.4, 0.4], [0.5, 0.5, 0.4, 0.4], [0.1, 0.1, 0.1, 0.1]]
    given = {"scores": s, "boxes": b}
    save("boxes", spec, [given, given | {"iou": 0.95, "sure": 0.12}],
         [{"s": [s[1], s[2]], "b": [b[1], b[2]]}, {"s": [s[1], s[2], s[0]], "b": [b[1], b[2], b[0]]}])


def recommender():
    spec = blank({"items": "by word", "k": "int64?", "without": "words?"}, {"list": "words", "scores": "by word"})
    model = spec.itemSimilarityRecommender
    model.itemStringIds.vector.extend(["a", "b", "c", "d"])
    similar = {0: {1: 0.5, 2: 0.25}, 1: {0: 0.5, 3: 1.0}, 3: {2: 2.0}}
    shift = {1: 0.0, 2: 1.0, 3: 0.5}
    for i in range(4):
        item = model.itemItemSimilarities.add(itemId=i, itemScoreAdjustment=shift.get(i, 0.0))
        for k, v in similar.get(i, {}).items():
            item.similarItemList.add(itemId=k, similarityScore=v)
    model.itemInputFeatureName, model.numRecommendationsInputFeatureName = "items", "k"
    model.itemExclusionInputFeatureName = "without"
    model.recommendedItemListOutputFeatureName, model.recommendedItemScoreOutputFeatureName = "list", "scores"
    scores = {"c": 0.25 * (4 - 1), "d": 1.0 * (2 - 0.5)}
    save("recommender", spec, [{"items": {"a": 4.0, "b": 2.0}, "k": 1}, {"items": {"a": 4.0, "b": 2.0}, "without": ["a", "c"]}],
         [{"list": ["d"], "scores": {"d": scores["d"]}},
          {"list": ["b", "d"], "scores": {"b": 2.0, "d": scores["d"]}}])


def sound():
    spec = blank({"x": [15600]}, {"y": [1, 96, 64]})
    spec.soundAnalysisPreprocessing.vggish.SetInParent()
    t = np.arange(15600) / 16000
    x = np.round(0.5 * np.sin(2 * np.pi * 440 * t) + 0.2 * np.sin(2 * np.pi * 3000 * t * t), 4)
    frames = np.stack([x[i * 160 : i * 160 + 400] for i in range(96)]) * (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400))
    spectrum = np.abs(np.fft.rfft(frames, 512))
    mel = 1127 * np.log(1 + np.arange(257) * 16000 / 512 / 700)
    edges = np.linspace(1127 * np.log(1 + 125 / 700), 1127 * np.log(1 + 7500 / 700), 66)
    lower = (mel[:, None] - edges[:-2]) / (edges[1:-1] - edges[:-2])
    upper = (edges[2:] - mel[:, None]) / (edges[2:] - edges[1:-1])
    bands = np.maximum(0, np.minimum(lower, upper))
    bands[0] = 0
    save("sound", spec, [{"x": x}], [{"y": np.round(np.log(spectrum @ bands + 0.01), 9)[None]}])


def nested_pipeline():
    inner = blank({"v": [2]}, {"v": [2]})
    inner.scaler.scaleValue.append(10.0)
    middle = blank({"v": [2]}, {"v": [2]})
    middle.pipeline.models.append(inner)
    pick = blank({"v": [2]}, {"y": "double"})
    pick.arrayFeatureExtractor.extractIndex.append(1)
    first = blank({"a": "double", "b": "double"}, {"v": [2]})
    for name in "ab":
        first.featureVectorizer.inputList.add(inputColumn=name, inputDimensions=1)
    spec = blank({"a": "double", "b": "double"}, {"y": "double"})
    spec.pipeline.models.extend([first, middle, pick])
    save("pipeline_nested", spec, [{"a": 1.0, "b": 2.5}], [{"y": 25.0}])


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    for old in FOLDER.glob("*.mlmodel"):
        old.unlink()
    for make in (from_scikit_learn, trees_of_all_kinds, trees_with_reference, linear_links, weighted_neighbours, categories,
                 vectors_of_features, imputers, detector, recommender, sound, nested_pipeline):
        make()


if __name__ == "__main__":
    main()
