# SPDX-License-Identifier: Apache-2.0
"""Networks whose latency on a Neural Engine somebody published, as lists of layers: what an estimate needs of them,
rebuilt from their papers without any framework. Each layer: kind, multiply-adds, weights, output elements.
"""
from dataclasses import dataclass


@dataclass
class Layer:
    kind: str  # conv, pointwise, depthwise, product (attention), move (no arithmetic)
    macs: float
    weights: float
    out: float


class Net:
    """A picture of c channels and h x w that layers are appended to."""

    def __init__(self, c=3, h=224, w=None):
        self.layers, self.c, self.h, self.w = [], c, h, w or h

    def conv(self, out, k=1, stride=1, groups=1):
        self.h, self.w = -(-self.h // stride), -(-self.w // stride)
        weights = out * (self.c // groups) * k * k
        kind = "depthwise" if groups > 1 and self.c // groups <= 2 else "pointwise" if k == 1 else "conv"
        self.layers.append(Layer(kind, weights * self.h * self.w, weights, out * self.h * self.w))
        self.c = out
        return self

    def dw(self, k, stride=1):
        return self.conv(self.c, k, stride, self.c)

    def up(self, out, k=4, stride=2):  # a transposed convolution
        weights = out * self.c * k * k
        macs = weights * self.h * self.w
        self.h, self.w, self.c = self.h * stride, self.w * stride, out
        self.layers.append(Layer("conv", macs, weights, out * self.h * self.w))
        return self

    def move(self, n=1):  # n elementwise sums or products, poolings, norms on what is there
        for _ in range(n):
            self.layers.append(Layer("move", 0, 0, self.c * self.h * self.w))
        return self

    def pool(self, stride):
        self.h, self.w = -(-self.h // stride), -(-self.w // stride)
        return self.move()

    def squeeze(self, inner):  # squeeze and excite
        c, h, w = self.c, self.h, self.w
        self.h = self.w = 1
        self.conv(inner).conv(c)
        self.h, self.w = h, w
        return self.move()

    def linear(self, out):
        return self.conv(out)

    def attention(self, keys=None, heads=1):  # over the h * w places, width c
        n = self.h * self.w
        keys = keys or n
        c = self.c
        self.conv(3 * c)
        self.c = c
        self.layers.append(Layer("product", n * keys * c, 0, n * keys * heads))
        self.layers.append(Layer("move", 0, 0, n * keys * heads))  # softmax
        self.layers.append(Layer("product", n * keys * c, 0, n * c))
        return self.conv(c).move()

    def global_pool(self):
        self.h = self.w = 1
        return self.move()


def resnet50():
    n = Net().conv(64, 7, 2).pool(2)
    for width, blocks, stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
        for b in range(blocks):
            s, c, h = stride if b == 0 else 1, n.c, n.h
            n.conv(width).conv(width, 3, s).conv(4 * width)
            if b == 0:
                after = n.c, n.h, n.w
                n.c, n.h, n.w = c, h, h
                n.conv(4 * width, 1, s)
                n.c, n.h, n.w = after
            n.move()
    return n.global_pool().linear(1000)


def mobilenet_v2():
    n = Net().conv(32, 3, 2)
    for t, c, blocks, stride in ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1),
                                 (6, 160, 3, 2), (6, 320, 1, 1)):
        for b in range(blocks):
            s, before = stride if b == 0 else 1, n.c
            if t > 1:
                n.conv(t * n.c)
            n.dw(3, s).conv(c)
            if s == 1 and before == c:
                n.move()
    return n.conv(1280).global_pool().linear(1000)


def mobilenet_v3_small():
    n = Net().conv(16, 3, 2)
    for k, hidden, out, squeeze, stride in ((3, 16, 16, 1, 2), (3, 72, 24, 0, 2), (3, 88, 24, 0, 1), (5, 96, 40, 1, 2),
                                            (5, 240, 40, 1, 1), (5, 240, 40, 1, 1), (5, 120, 48, 1, 1),
                                            (5, 144, 48, 1, 1), (5, 288, 96, 1, 2), (5, 576, 96, 1, 1),
                                            (5, 576, 96, 1, 1)):
        before = n.c
        if hidden != n.c:
            n.conv(hidden)
        n.dw(k, stride)
        if squeeze:
            n.squeeze(max(8, hidden // 4 // 8 * 8))
        n.conv(out)
        if stride == 1 and before == out:
            n.move()
    return n.conv(576).global_pool().linear(1024).linear(1000)


def mobileone(variant):
    widths = {0: (.75, 1, 1, 2), 1: (1.5, 1.5, 2, 2.5), 2: (1.5, 2, 2.5, 4), 3: (2, 2.5, 3, 4), 4: (3, 3.5, 3.5, 4)}
    squeezed = {4: (0, 0, 5, 1)}.get(variant, (0, 0, 0, 0))
    n = Net().conv(min(64, int(64 * widths[variant][0])), 3, 2)
    for i, (blocks, base) in enumerate(((2, 64), (8, 128), (10, 256), (1, 512))):
        out = int(base * widths[variant][i])
        for b in range(blocks):
            n.dw(3, 2 if b == 0 else 1)
            if b >= blocks - squeezed[i]:
                n.squeeze(n.c // 16)
            n.conv(out)
            if b >= blocks - squeezed[i]:
                n.squeeze(out // 16)
    return n.global_pool().linear(1000)


def fastvit(name):
    layers, dims, ratio, attend = {
        "t8": ((2, 2, 4, 2), (48, 96, 192, 384), 3, False), "t12": ((2, 2, 6, 2), (64, 128, 256, 512), 3, False),
        "s12": ((2, 2, 6, 2), (64, 128, 256, 512), 4, False), "sa12": ((2, 2, 6, 2), (64, 128, 256, 512), 4, True),
        "sa24": ((4, 4, 12, 4), (64, 128, 256, 512), 4, True), "sa36": ((6, 6, 18, 6), (64, 128, 256, 512), 4, True),
        "ma36": ((6, 6, 18, 6), (76, 152, 304, 608), 4, True)}[name]
    n = Net(3, 256).conv(dims[0], 3, 2).dw(3, 2).conv(dims[0])
    for i, (blocks, dim) in enumerate(zip(layers, dims)):
        if i:
            n.dw(7, 2)
            n.c = dim  # each input channel of the grouped kernel gives two
            n.conv(dim)
        if attend and i == 3:
            n.dw(7)
        for _ in range(blocks):
            if attend and i == 3:
                n.move().attention(heads=dim // 32)
            else:
                n.dw(3)
            n.dw(7).conv(ratio * dim).conv(dim).move()
    n.conv(2 * n.c, 3, 1, n.c).squeeze(n.c // 16)
    return n.global_pool().linear(1000)


def mobilevit_v2():
    n = Net(3, 256).conv(32, 3, 2)

    def bottleneck(out, stride):
        before = n.c
        n.conv(2 * n.c).dw(3, stride).conv(out)
        if stride == 1 and before == out:
            n.move()
    bottleneck(64, 1)
    for stride, repeat in ((2, 1), (1, 1)):
        bottleneck(128, stride)
    for out, width, blocks in ((256, 128, 2), (384, 192, 4), (512, 256, 3)):
        bottleneck(out, 2)
        n.dw(3).conv(width).move()  # unfolded into patches
        for _ in range(blocks):
            n.move().conv(2 * width + 1)
            n.c = width
            n.move(3).conv(width).move(2).conv(2 * width).conv(width).move()
        n.move().conv(out)
    return n.global_pool().linear(1000)


def resnet34_center():
    n = Net(3, 512).conv(64, 7, 2).pool(2)
    for width, blocks, stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
        for b in range(blocks):
            n.conv(width, 3, stride if b == 0 else 1).conv(width, 3).move()
    for out in (256, 128, 64):
        n.conv(out, 3).up(out)
    for out in (80, 2, 2):
        n.c = 64
        n.conv(64, 3).conv(out)
    return n


def distilbert(tokens=128):
    n = Net(768, 1, tokens)
    for _ in range(6):
        n.attention(heads=12).move().conv(3072).conv(768).move(2)
    return n


def gpt2(width, depth, context=512):
    """One token after the context; the keys and values are there."""
    n = Net(width, 1, 1)
    for _ in range(depth):
        n.attention(context, width // 64).move().conv(4 * width).conv(width).move(2)
    return n.linear(50257)


def networks():
    """By the name that measured.csv gives them."""
    out = {"resnet50": resnet50(), "mobilenet_v2": mobilenet_v2(), "mobilenet_v3_small": mobilenet_v3_small(),
           "mobilevit_v2": mobilevit_v2(), "centernet_resnet34": resnet34_center(), "distilbert": distilbert()}
    for i in range(5):
        out[f"mobileone_s{i}"] = mobileone(i)
    for name in ("t8", "t12", "s12", "sa12", "sa24", "sa36", "ma36"):
        out["fastvit_" + name] = fastvit(name)
    for name, width, depth in (("medium", 1024, 24), ("large", 1280, 36), ("xl", 1600, 48)):
        out["gpt2_" + name] = gpt2(width, depth)
    return {name: net.layers for name, net in out.items()}
