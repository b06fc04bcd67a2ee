# SPDX-License-Identifier: Apache-2.0
"""The malformed classic models and pipelines of test/format/bad/classic, and a seed of the Core ML fuzz target for every kind.
Run by make_bad_coreml.py, whose words for protobuf it uses."""

import struct

from make_bad_coreml import array, description, feature, model, num, sub, varint, write_cases, write_seeds

DOUBLE, INT, STRING = sub(2), sub(1), sub(3)
NUMBERS = sub(6, sub(1))  # a dictionary from integers
WORDS = sub(6, sub(2))


def real(field, x):
    return varint(field << 3 | 1) + struct.pack("<d", x)


def reals(field, *values):
    return sub(field, struct.pack(f"<{len(values)}d", *values))


def floats(field, *values):
    return sub(field, struct.pack(f"<{len(values)}f", *values))


def whole(field, *values):
    return sub(field, b"".join(varint(v) for v in values))


def words(field, *values):
    return sub(field, *[sub(1, v) for v in values])


def takes(x=None, y=DOUBLE, more=b""):
    """x, an array of 2, and y; the prediction is y."""
    return description([feature("x", x or array([2]))], [feature("y", y)], sub(11, "y") + more)


def classic(kind, content, about=None):
    return model(content, kind, 4, about or takes())


# ---- models that are sound, if nothing is changed


def branch(i, yes, no, tree=0, look=0, behavior=0):
    return num(1, tree) + num(2, i) + num(3, behavior) + num(10, look) + real(11, 0.5) + num(12, yes) + num(13, no)


def leaf(i, value=1.0, tree=0, index=0):
    return num(1, tree) + num(2, i) + num(3, 6) + sub(20, num(1, index) + real(2, value))


STUMP = (branch(0, 1, 2), leaf(1), leaf(2, 2.0))


def trees(nodes=STUMP, outputs=1, base=(0.0,), labels=None, transform=0):
    ensemble = sub(1, *[sub(1, n) for n in nodes], num(2, outputs), reals(3, *base))
    content = ensemble + num(2, transform)
    if labels is None:
        return classic(302, content)
    return classic(402, content + words(100, *labels), takes(y=STRING))


def linear(weights=((1.0, 2.0),), offset=(0.0,), labels=None, encoding=0):
    content = b"".join(sub(1, reals(1, *row)) for row in weights) + reals(2, *offset)
    if labels is None:
        return classic(300, content)
    return classic(400, content + num(4, encoding) + words(100, *labels), takes(y=STRING))


def vectors(rows=((0.0, 1.0), (1.0, 0.0)), alpha=(1.0, -1.0), kernel=None):
    support = sub(3, *[sub(1, reals(1, *row)) for row in rows])
    return classic(301, sub(1, kernel or sub(2, real(1, 0.5))) + support + sub(4, reals(1, *alpha)) + real(5, 0.1))


def vector_classes(counts=(1, 1), rows=2, alpha=((1.0, -1.0),), rho=(0.1,), more=b"", labels=("a", "b"), sparse=None):
    support = sub(4, *[sub(1, reals(1, 0.0, 1.0))] * rows) if sparse is None else sub(3, *[sub(1, sparse)] * rows)
    content = sub(1, sub(1)) + whole(2, *counts) + support + b"".join(sub(5, reals(1, *row)) for row in alpha)
    return classic(401, content + reals(6, *rho) + more + words(100, *labels), takes(y=STRING))


def neighbours(samples=((0.0, 1.0), (1.0, 0.0)), labels=("a", "b"), k=1, length=2):
    index = num(1, length) + b"".join(sub(2, floats(1, *s)) for s in samples) + sub(100)
    return classic(404, sub(1, index) + sub(3, num(1, k)) + words(100, *labels) + sub(200), takes(y=STRING))


def vectorizer(name="x", length=2):
    return classic(602, sub(1, sub(1, name), num(2, length)), takes(y=array([2], 65600)))


def boxes(labels=("a",), scores="x"):
    about = description([feature("x", array([3, 1])), feature("b", array([3, 4]))], ["y", "z"])
    names = sub(200, scores) + sub(201, "b") + sub(210, "y") + sub(211, "z")
    return classic(610, sub(1, num(1, 1)) + words(100, *labels) + real(110, 0.5) + real(111, 0.1) + names, about)


def recommender(others=(1,), names=("a", "b"), given="x"):
    items = sub(1, num(1, 0), *[sub(2, num(1, k), real(2, 0.5)) for k in others])
    about = takes(WORDS, sub(7, sub(3)))
    return classic(501, items + words(2, *names) + sub(10, given) + sub(20, "y"), about)


def part(inputs=("x",), outputs=("y",)):
    return model(b"", 900, 4, description(inputs, outputs))


def pipeline(*parts, names=None, about=None):
    names = names or [f"p{i}" for i in range(len(parts))]
    return model(b"".join(sub(1, p) for p in parts) + b"".join(sub(2, n) for n in names), 202, 4, about)


def tree_cases():
    loop = (branch(0, 1, 2), leaf(1), leaf(2), branch(3, 4, 5), branch(4, 3, 6), leaf(5), leaf(6))
    yield "tree_loop", trees(loop), "the children of a node lead back to it"
    back = (branch(0, 1, 2), branch(1, 0, 3), leaf(2), leaf(3))
    yield "tree_root_loop", trees(back), "the children of a node lead back to it"
    yield "tree_itself", trees((branch(0, 0, 1), leaf(1))), "the children of a node lead back to it"
    yield "tree_missing_child", trees((branch(0, 1, 9), leaf(1))), "tree 0: node 0 leads to node 9, which is not there"
    yield "tree_two_parents", trees((branch(0, 1, 1), leaf(1))), "tree 0: two branches lead to node 1"
    yield "tree_two_roots", trees((leaf(0), leaf(1))), "tree 0: has two nodes that none leads to"
    yield "tree_twice", trees((leaf(0), leaf(0))), "tree 0: there are two nodes 0"
    look = (branch(0, 1, 2, look=2), leaf(1), leaf(2))
    yield "tree_feature", trees(look), "tree 0: node 0 looks at feature 2, there are 2"
    odd = (branch(0, 1, 2, behavior=9), leaf(1), leaf(2))
    yield "tree_behavior", trees(odd), "tree 0: node 0: has the behavior 9"
    yield "tree_dimension", trees((leaf(0, index=1),)), "tree 0: node 0: adds to dimension 1 of 1"
    yield "tree_base", trees(base=(0.0, 0.0)), "has 2 base values for 1 dimensions of its prediction"
    yield "tree_no_dimension", trees(outputs=0, base=()), "for 0 dimensions of its prediction"
    yield "tree_empty", trees(()), "the trees: has no nodes"
    yield "tree_labels", trees(labels=("a", "b", "c")), "has 3 class labels for 1 classes"
    yield "tree_no_labels", trees(labels=()), "has no class labels"
    yield "tree_words", classic(302, sub(1, sub(1, leaf(0)), num(2, 1)), takes(STRING)), "input 'x' is string"


def machine_cases():
    yield "linear_width", linear(((1.0, 2.0, 3.0),)), "row 0 has 3 weights for 2 features"
    yield "linear_offset", linear(offset=(0.0, 1.0)), "has 2 offsets for 1 rows of weights"
    yield "linear_empty", linear((), ()), "has no weights"
    three = linear(((1.0, 2.0),) * 3, (0.0,) * 3, ("a", "b"), 1)
    yield "linear_labels", three, "has 2 class labels for 3 classes"
    yield "linear_one_label", linear(labels=("a",)), "has fewer than two class labels"
    yield "vector_width", vectors(((0.0, 1.0, 2.0),)), "support vector 0 has 3 elements, the input 2"
    yield "vector_alpha", vectors(alpha=(1.0,)), "has 1 coefficients for 2 support vectors"
    yield "vector_none", vectors(()), "has no support vectors"
    yield "vector_counts", vector_classes((1, 2)), "more support vectors than there are"
    yield "vector_classes", vector_classes((1, 0)), "do not fit 2 classes and 2 support vectors"
    yield "vector_rows", vector_classes(alpha=()), "has 0 rows of coefficients, 2 classes need 1"
    yield "vector_row", vector_classes(alpha=((1.0,),)), "has 1 coefficients for 2 support vectors"
    yield "vector_rho", vector_classes(rho=(0.1, 0.2)), "has 2 values rho, 2 classes need 1"
    yield "vector_probability", vector_classes(more=reals(7, 1.0)), "has 1 and 0 values for probabilities"
    yield "vector_sparse", vector_classes(sparse=sub(1, num(1, 3) + real(2, 1.0))), "has an element 3, the input has 2"
    yield "vector_labels", vector_classes(labels=("a", "b", "c")), "do not fit 3 classes"
    yield "neighbour_length", neighbours(((0.0, 1.0, 2.0),), ("a",)), "sample 0 has 3 elements, 2 are declared"
    yield "neighbour_input", neighbours(((0.0,),), ("a",), length=1), "samples have 1 dimensions, the input has 2"
    yield "neighbour_labels", neighbours(labels=("a",)), "has 1 labels for 2 samples"
    yield "neighbour_k", neighbours(k=0), "the number of neighbours must be at least 1"


def feature_cases():
    out = takes(y=array([2], 65600))
    yield "scaler", classic(604, reals(1, 1.0, 2.0, 3.0), out), "has 3 shifts for 2 elements"
    yield "imputer", classic(601, sub(4, reals(1, 1.0, 2.0, 3.0)), out), "has 3 imputed values for 2 elements"
    yield "imputer_nothing", classic(601, b"", out), "has nothing to impute"
    yield "extractor", classic(609, whole(1, 2), out), "extracts element 2 of 2"
    yield "extractor_nothing", classic(609, b"", out), "extracts nothing"
    yield "vectorizer_name", vectorizer("z"), "there is no input 'z' to make a part of"
    yield "vectorizer_length", vectorizer(length=3), "'x' has 2 elements, 3 are declared"
    hot = takes(INT, array([2], 65600))
    yield "one_hot_twice", classic(600, sub(2, whole(1, 5, 5)), hot), "the category 5 is listed twice"
    yield "one_hot_nothing", classic(600, b"", hot), "has no categories"
    key = sub(1, sub(1, sub(1, "a"), num(2, 1)))
    yield "mapping_other", classic(606, key + sub(101, "b"), takes(STRING, INT)), "of another type than the others"
    yield "boxes_labels", boxes(("a", "b")), "has 2 class labels for 1 classes"
    yield "boxes_name", boxes(scores="q"), "there is no feature 'q' in its description"
    yield "recommender_names", recommender((5,)), "names 2 items, and speaks of 6"
    yield "recommender_far", recommender((2**62,)), "there is no item 4611686018427387904"
    yield "recommender_input", recommender(given="q"), "there is no input 'q' in its description"
    yield "link_up", classic(556, sub(1, sub(1, sub(1, "../../model")))), "links to '../../model', which is not a name"


def pipeline_cases():
    lost = pipeline(part(("z",), ("y",)))
    yield "pipeline_input", lost, "part 'p0': no earlier part gives its input 'z'"
    yield "pipeline_output", pipeline(part(("x",), ("z",))), "no part gives the output 'y'"
    later = pipeline(part(("z",), ("y",)), part(("x",), ("z",)))
    yield "pipeline_order", later, "part 'p0': no earlier part gives its input 'z'"
    word = pipeline(part((feature("x", STRING),), ("y",)))
    yield "pipeline_kind", word, "part 'p0': its input 'x' takes string, what comes is tensor"
    twice = pipeline(part(), part(), names=("a", "a"))
    yield "pipeline_names", twice, "part 'a': another part has that name"
    yield "pipeline_empty", pipeline(), "a pipeline without parts"
    yield "pipeline_part", pipeline(classic(302, b"")), "part 'p0': the trees: has 0 base values"


def seeds():
    out = takes(y=array([2], 65600))
    maps = sub(1, sub(1, sub(1, "a"), num(2, 1)))
    return {
        "trees": trees(),
        "tree_classes": trees(labels=("a", "b"), transform=2),
        "linear": linear(),
        "linear_classes": linear(labels=("a", "b")),
        "vectors": vectors(),
        "vector_classes": vector_classes(more=reals(7, 1.0) + reals(8, 0.0)),
        "neighbours": neighbours(),
        "vectorizer": vectorizer(),
        "scaler": classic(604, reals(1, 1.0, 2.0) + reals(2, 2.0), out),
        "normalizer": classic(607, num(1, 2), out),
        "imputer": classic(601, real(1, 1.0) + real(11, 0.0), out),
        "imputer_words": classic(601, sub(6, sub(1, sub(1, "a"), real(2, 1.0))), takes(WORDS, WORDS)),
        "extractor": classic(609, whole(1, 1), out),
        "one_hot": classic(600, sub(2, whole(1, 5, 6)), takes(INT, NUMBERS)),
        "mapping": classic(606, maps + num(102, 0), takes(STRING, INT)),
        "dictionary": classic(603, words(1, "a", "b"), takes(WORDS, NUMBERS)),
        "boxes": boxes(),
        "recommender": recommender(),
        "sound": classic(2003, sub(20), takes(array([15600]), array([1, 96, 64]))),
        "link": classic(556, sub(1, sub(1, sub(1, "other")))),
        "thresholding": classic(560, b"", out),
        "two_parts": pipeline(part(("x",), ("z",)), part(("z",), ("y",))),
    }


def write_all(bad, corpus):
    cases = [*tree_cases(), *machine_cases(), *feature_cases(), *pipeline_cases()]
    write_cases(bad / "classic", cases, ".mlmodel")
    write_seeds(corpus / "coreml_model", seeds(), fresh=False)
