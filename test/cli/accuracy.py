# SPDX-License-Identifier: Apache-2.0
"""The held-out accuracy of examples/digits as `tl` computes it: unpacks the scans, predicts them as one batch and counts."""
import json
import pathlib
import struct
import subprocess
import sys
import zipfile

scratch = pathlib.Path(sys.argv[1])
with zipfile.ZipFile("examples/digits/heldout.npz") as archive:
    (scratch / "images.npy").write_bytes(archive.read("images.npy"))
    labels = archive.read("labels.npy")
begin = 10 + struct.unpack_from("<H", labels, 8)[0]
labels = struct.unpack(f"<{(len(labels) - begin) // 4}i", labels[begin:])
subprocess.run(["tl", "predict", "examples/digits/digits.mlpackage", "--input", f"image={scratch / 'images.npy'}",
                "--outputs", scratch / "out.json"], check=True)
answers = json.loads((scratch / "out.json").read_text())
right = sum(answer["classLabel"] == str(label) for answer, label in zip(answers, labels))
print(f"{len(answers)} scans, accuracy", "of at least 98 %" if right >= 0.98 * len(labels) == 0.98 * len(answers) else f"{right / len(labels)}")
