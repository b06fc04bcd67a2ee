#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes small compiled models of test/model/classic, NAME.mlmodelc, and beside each what must come out: Espresso nets whose
layers NumPy computes, a classifier, a pipeline. Run after make_classic_models.py, from the root; the result is committed."""

import json
import pathlib
import shutil
import struct

import numpy as np
from make_bad_classic import reals
from make_bad_coreml import array, compiled, data, description, feature, model, sub, write

FOLDER = pathlib.Path("test/model/classic")
random = np.random.default_rng(3)


def draw(*shape):
    return np.round(random.normal(size=shape), 3).astype(np.float32)


class Net:
    """Layers and their weights; numbers of blobs are odd, as compilers have them."""

    def __init__(self):
        self.layers, self.blobs, self.shapes = [], [], {}

    def blob(self, values, dtype=np.float32):
        self.blobs += [b"\0" * 8, np.asarray(values, dtype).tobytes()]
        return len(self.blobs) - 1

    def add(self, kind, bottom, top, **keys):
        self.layers.append({"type": kind, "name": top, "bottom": bottom, "top": top, "weights": {}} | keys)

    def files(self, about, kind=500, tail=b"", **more):
        head = struct.pack("<Q", len(self.blobs))
        head += b"".join(struct.pack("<QQ", k, len(b)) for k, b in enumerate(self.blobs))
        net = {"format_version": 200, "storage": "model.espresso.weights", "layers": self.layers} | more
        payload = struct.pack("<Q", len(about)) + about + tail
        return compiled(
            False,
            data(payload, kind),
            model_dot_espresso_dot_net=json.dumps(net).encode(),
            model_dot_espresso_dot_shape=json.dumps({"layer_shapes": self.shapes}).encode(),
            model_dot_espresso_dot_weights=head + b"".join(self.blobs),
        )


def save(name, files, examples, results):
    shutil.rmtree(FOLDER / f"{name}.mlmodelc", ignore_errors=True)
    write(FOLDER / f"{name}.mlmodelc", files)
    plain = [[{k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in row.items()} for row in rows]
             for rows in (examples, results)]
    (FOLDER / f"{name}.json").write_text(json.dumps({"in": plain[0], "out": plain[1]}) + "\n")


def convolved(x, w, b, stride=1, pads=(0, 0, 0, 0), groups=1):
    t, low, left, right = pads
    x = np.pad(x, ((0, 0), (t, low), (left, right)))
    out, per, kh, kw = w.shape
    h, wide = (x.shape[1] - kh) // stride + 1, (x.shape[2] - kw) // stride + 1
    y = np.zeros((out, h, wide))
    for o in range(out):
        part = x[o // (out // groups) * per :][:per]
        for i in range(h):
            for j in range(wide):
                y[o, i, j] = (part[:, i * stride : i * stride + kh, j * stride : j * stride + kw] * w[o]).sum() + b[o]
    return y


def network():
    n, x = Net(), draw(3, 7, 7)
    w1, b1, w2, b2 = draw(4, 3, 3, 3), draw(4), draw(4, 1, 3, 3).astype(np.float16), draw(4)
    norm, dense, bias = draw(4, 4), draw(5, 36), draw(5)
    norm[:, 3] = np.abs(norm[:, 3]) + 0.5
    shared = {"n_parallel": 1, "has_batch_norm": 0, "fused_tanh": 0, "has_biases": 1}
    n.add("convolution", "x", "c1", C=4, K=3, Nx=3, Ny=3, n_groups=1, stride_x=2, stride_y=2, pad_t=1, pad_b=1, pad_l=1,
          pad_r=1, pad_mode=0, fused_relu=1, blob_weights=n.blob(w1), blob_biases=n.blob(b1), **shared)
    n.add("convolution", "c1", "c2", C=4, K=4, Nx=3, Ny=3, n_groups=4, pad_mode=1, fused_relu=0,
          blob_weights_f16=n.blob(w2, np.float16), blob_biases=n.blob(b2), **shared)
    n.add("batchnorm", "c2", "bn", C=4, blob_batchnorm_params=n.blob(norm))
    n.add("elementwise", "c1,bn", "sum", operation=0, fused_relu=1)
    n.add("elementwise", "sum", "clipped", operation=25, alpha=0.25)
    n.add("activation", "clipped", "line", mode=6, alpha=-0.5, beta=1.0)
    n.add("pool", "line", "p", size_x=2, size_y=2, stride_x=1, stride_y=1, avg_or_max=1, pad_mode=0)
    n.add("inner_product", "p", "ip", nB=36, nC=5, has_biases=1, has_tanh=1, blob_weights=n.blob(dense),
          blob_biases=n.blob(np.concatenate([bias, np.zeros(15)])))
    n.add("softmax", "ip", "y", C=1)
    n.shapes = {"line": {"n": 1, "k": 4, "h": 4, "w": 4}, "p": {"n": 1, "k": 4, "h": 3, "w": 3}}
    c1 = np.maximum(0, convolved(x, w1, b1, 2, (1, 1, 1, 1)))
    c2 = convolved(c1, w2.astype(float), b2, 1, (1, 1, 1, 1), 4)
    gamma, beta, mean, variance = norm.T[:, :, None, None]
    bn = gamma * (c2 - mean) / np.sqrt(variance + 1e-5) + beta
    line = 1 - 0.5 * np.maximum(np.maximum(0, c1 + bn), 0.25)
    pooled = np.max([line[:, i : i + 3, j : j + 3] for i in (0, 1) for j in (0, 1)], axis=0)
    e = np.exp(np.tanh(dense @ pooled.ravel() + bias))
    about = description([feature("x", array([3, 7, 7]))], [feature("y", array([5]))])
    save("espresso", n.files(about), [{"x": x}], [{"y": e / e.sum()}])
    return n, x, e / e.sum()


def classifier():
    n, x, p = network()
    words = ["a", "b", "c", "d", "e"]
    text = lambda s: struct.pack("<Q", len(s)) + s.encode()  # noqa: E731
    tail = struct.pack("<QQQ", 403, 100, 5) + b"".join(map(text, words)) + text("y") + struct.pack("<Q", 1) + text("y")
    outputs = [feature("label", sub(3)), feature("p", sub(6, sub(2)))]
    about = description([feature("x", array([3, 7, 7]))], outputs, sub(11, "label") + sub(12, "p"))
    save("espresso_classes", n.files(about, 403, tail), [{"x": x}],
         [{"label": words[int(p.argmax())], "p": dict(zip(words, p.tolist()))}])


def elementwise():
    n, x, z = Net(), np.abs(draw(4, 1, 1)) + 0.5, draw(4, 1, 1)
    steps = [
        ("elementwise", "x,z", {"operation": 1}, x * z),
        ("elementwise", "x", {"operation": 2, "alpha": 1.5}, x + 1.5),
        ("elementwise", "x", {"operation": 3, "alpha": -2}, -2 * x),
        ("elementwise", "z", {"operation": 24}, np.abs(z)),
        ("elementwise", "x,z", {"operation": 23}, np.maximum(x, z)),
        ("elementwise", "x", {"operation": 26}, np.log(x)),
        ("elementwise", "z", {"operation": 27}, np.exp(z)),
        ("elementwise", "x", {"operation": 11}, np.sqrt(x)),
        ("activation", "z", {"mode": 0}, np.maximum(z, 0)),
        ("activation", "z", {"mode": 1}, np.tanh(z)),
        ("activation", "z", {"mode": 2, "alpha": 0.1}, np.where(z > 0, z, 0.1 * z)),
        ("activation", "z", {"mode": 3}, 1 / (1 + np.exp(-z))),
        ("activation", "z", {"mode": 8, "alpha": 0.5}, np.where(z > 0, z, 0.5 * (np.exp(z) - 1))),
        ("activation", "z", {"mode": 10}, np.log1p(np.exp(z))),
        ("activation", "z", {"mode": 12}, z / (1 + np.abs(z))),
    ]
    for k, (kind, bottom, keys, _) in enumerate(steps):
        n.add(kind, bottom, f"s{k}", **keys)
    n.add("concat", ",".join(f"s{k}" for k in range(len(steps))), "y")
    about = description([feature(v, array([4, 1, 1])) for v in "xz"], [feature("y", array([60, 1, 1]))])
    save("espresso_elementwise", n.files(about), [{"x": x, "z": z}], [{"y": np.concatenate([v for *_, v in steps])}])


def pipeline():
    n, x, w = Net(), draw(2, 1, 1), draw(2, 2)
    n.add("inner_product", "h", "y", nB=2, nC=2, has_biases=0, blob_weights=n.blob(w))
    net = n.files(description([feature("h", array([2, 1, 1]))], [feature("y", array([2, 1, 1]))]))
    scaler = model(reals(2, 3.0), 604, 4, description([feature("x", array([2, 1, 1]))], [feature("h", array([2, 1, 1]))]))
    about = description([feature("x", array([2, 1, 1]))], [feature("y", array([2, 1, 1]))])
    files = {"coremldata.bin": data(struct.pack("<Q", len(about)) + about + struct.pack("<QQ", 2, 202), 202)}
    files |= {"model0/coremldata.bin": data(scaler, 604, b"spec")} | {f"model1/{k}": v for k, v in net.items()}
    save("espresso_pipeline", files, [{"x": x}], [{"y": (w @ (3 * x[:, 0, 0]))[:, None, None]}])


def main():
    classifier()
    elementwise()
    pipeline()


if __name__ == "__main__":
    main()
