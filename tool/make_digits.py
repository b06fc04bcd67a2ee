#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Makes examples/digits/: trains a small CNN on scikit-learn's scans of handwritten digits, converts it to
# digits.mlpackage, and writes the held-out scans beside it. Needs coremltools==9.0, torch==2.7.*,
# scikit-learn, pillow. Fixed seeds; the held-out fifth takes no part in training or in choosing what to keep.
import copy
import json
import math
import shutil
import uuid
from pathlib import Path

import coremltools as ct
import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

OUT = Path(__file__).resolve().parent.parent / "examples" / "digits"
EPOCHS = 90
BATCH = 64


class Digits(nn.Module):
    """Pixels 0..255 already scaled to 0..1, [N, 1, 8, 8] -> probabilities [N, 10]."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 24, 3, padding=1),
            nn.BatchNorm2d(24),
            nn.ReLU(),
            nn.Conv2d(24, 48, 3, padding=1),
            nn.BatchNorm2d(48),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(48, 64, 3, padding=1),
            nn.BatchNorm2d(64),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
        )
        self.drop = nn.Dropout(0.3)
        self.head = nn.Linear(256, 10)

    def logits(self, x):
        return self.head(self.drop(self.body(x)))

    def forward(self, x):
        return F.softmax(self.logits(x), dim=1)


def pixels(scans):
    """The scans hold 0..16; an 8-bit picture holds round(value * 255 / 16)."""
    return np.rint(scans * (255 / 16)).astype(np.uint8)


def batch_of(images):
    return torch.from_numpy(images).float().unsqueeze(1) / 255


def distort(x, random):
    """Small rotations, scalings, shears and shifts, and a little noise."""

    def spread(width):
        return (torch.rand(len(x), generator=random) * 2 - 1) * width

    angle, shear = spread(0.24), spread(0.15)
    sx, sy = 1 + spread(0.12), 1 + spread(0.12)
    theta = torch.zeros(len(x), 2, 3)
    theta[:, 0, 0], theta[:, 0, 1] = sx * torch.cos(angle), -torch.sin(angle) + shear
    theta[:, 1, 0], theta[:, 1, 1] = torch.sin(angle), sy * torch.cos(angle)
    theta[:, 0, 2], theta[:, 1, 2] = spread(0.2), spread(0.2)
    x = F.grid_sample(x, F.affine_grid(theta, list(x.shape), align_corners=False), align_corners=False)
    return (x + torch.randn(x.shape, generator=random) * 0.03).clamp(0, 1)


def accuracy(net, images, labels):
    net.eval()
    with torch.no_grad():
        return (net(batch_of(images)).argmax(1).numpy() == labels).mean()


def epoch(net, average, optimizer, schedule, data, random):
    x, y = data
    net.train()
    for part in torch.randperm(len(x), generator=random).split(BATCH):
        loss = F.cross_entropy(net.logits(distort(x[part], random)), y[part], label_smoothing=0.03)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        with torch.no_grad():
            for mean, now in zip(average.state_dict().values(), net.state_dict().values()):
                mean.copy_(torch.lerp(mean, now, 0.01) if mean.is_floating_point() else now)


def train(images, labels):
    """A validation split of the training part chooses the epoch whose averaged weights are kept."""
    torch.manual_seed(0)
    random = torch.Generator().manual_seed(0)
    part, check, part_labels, check_labels = train_test_split(
        images, labels, test_size=0.12, stratify=labels, random_state=1
    )
    data = batch_of(part), torch.from_numpy(part_labels)
    net = Digits()
    average = copy.deepcopy(net)
    steps = EPOCHS * math.ceil(len(part) / BATCH)
    optimizer = torch.optim.AdamW(net.parameters(), lr=4e-3, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=4e-3, total_steps=steps)
    best, kept = -1.0, None
    for count in range(EPOCHS):
        epoch(net, average, optimizer, schedule, data, random)
        score = accuracy(average, check, check_labels)
        if score >= best:
            best, kept = score, copy.deepcopy(average)
        if count % 15 == 14:
            print(f"epoch {count + 1}: validation {score:.4f}")
    return kept.eval()


def settle(package):
    """Identifiers from the files' names, and sorted maps: the same training writes the same package."""
    path = package / "Manifest.json"
    manifest = json.loads(path.read_text())
    renamed = {
        old: str(uuid.uuid5(uuid.NAMESPACE_URL, entry["path"])).upper()
        for old, entry in manifest["itemInfoEntries"].items()
    }
    manifest["itemInfoEntries"] = {renamed[old]: entry for old, entry in manifest["itemInfoEntries"].items()}
    manifest["rootModelIdentifier"] = renamed[manifest["rootModelIdentifier"]]
    path.write_text(json.dumps(manifest, indent=4, sort_keys=True) + "\n")
    model = package / "Data" / "com.apple.CoreML" / "model.mlmodel"
    spec = ct.proto.Model_pb2.Model.FromString(model.read_bytes())
    model.write_bytes(spec.SerializeToString(deterministic=True))
    model.chmod(0o644)


def convert(net, held_out_accuracy):
    traced = torch.jit.trace(net, torch.zeros(1, 1, 8, 8))
    image = ct.ImageType(
        name="image", shape=(1, 1, 8, 8), scale=1 / 255, color_layout=ct.colorlayout.GRAYSCALE
    )
    model = ct.convert(
        traced,
        inputs=[image],
        convert_to="mlprogram",
        minimum_deployment_target=ct.target.iOS16,
        compute_precision=ct.precision.FLOAT16,
        compute_units=ct.ComputeUnit.ALL,
        skip_model_load=True,
        classifier_config=ct.ClassifierConfig([str(digit) for digit in range(10)]),
    )
    model.author = "The TensorLogic authors"
    model.license = "Apache-2.0; trained on data under CC BY 4.0, see NOTICE"
    model.short_description = "Reads a handwritten digit from an 8x8 gray scan, bright ink on black"
    model.version = "1.0"
    model.input_description["image"] = "The scan, 8x8 pixels, ink 255"
    model.output_description["classLabel"] = "The most likely digit"
    notes = model.user_defined_metadata
    notes.pop("com.github.apple.coremltools.conversion_date", None)
    notes["data"] = "Optical Recognition of Handwritten Digits, E. Alpaydin and C. Kaynak, UCI"
    notes["held_out_accuracy"] = f"{held_out_accuracy:.4f}"
    package = OUT / "digits.mlpackage"
    shutil.rmtree(package, ignore_errors=True)
    model.save(str(package))
    settle(package)


def write_scans(images, labels):
    np.savez_compressed(OUT / "heldout.npz", images=images, labels=labels.astype(np.int32))
    folder = OUT / "scan"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for digit in range(10):
        for letter, index in zip("ab", np.flatnonzero(labels == digit)):
            Image.fromarray(images[index], mode="L").save(folder / f"{digit}_{letter}.png", optimize=True)


def main():
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    digits = load_digits()
    images, held_images, labels, held_labels = train_test_split(
        pixels(digits.images), digits.target, test_size=0.2, stratify=digits.target, random_state=0
    )
    net = train(images, labels)
    score = accuracy(net, held_images, held_labels)
    print(f"held out: {score:.4f} of {len(held_labels)}")
    OUT.mkdir(parents=True, exist_ok=True)
    convert(net, score)
    write_scans(held_images, held_labels)


if __name__ == "__main__":
    main()
