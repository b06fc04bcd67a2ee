# SPDX-License-Identifier: Apache-2.0
# Golden pairs of matrix products, attention and recurrent networks.
import numpy as np
import torch
import torch.nn.functional as F

from .case import Family, floats, ints, random_of


def products():
    out = Family("matmul")
    random = random_of("matmul")
    for x_shape, y_shape in [
        ((2, 3), (3, 4)),
        ((3,), (3, 2)),
        ((2, 3), (3,)),
        ((4,), (4,)),
        ((2, 2, 3), (3, 2)),
        ((2, 1, 2, 3), (3, 3, 2)),
        ((1, 2), (2, 2, 3)),
    ]:
        x, y = floats(random, *x_shape), floats(random, *y_shape)
        out.add("matmul", {"x": x, "y": y}, np.asarray(np.matmul(x, y)))
    for flip_x, flip_y in [(True, False), (False, True), (True, True)]:
        for batch in ((), (2,), (1, 2)):
            x = floats(random, *batch, *((3, 2) if flip_x else (2, 3)))
            y = floats(random, *((2, 3) if flip_y else (3, 2)))
            result = np.matmul(np.swapaxes(x, -1, -2) if flip_x else x, y.T if flip_y else y)
            out.add("matmul", {"x": x, "y": y}, result, transpose_x=flip_x, transpose_y=flip_y)
    x, y = ints(random, 2, 3), ints(random, 3, 2)
    out.add("matmul", {"x": x, "y": y}, x @ y)
    random = random_of("linear")
    for shape, biased in [((2, 3), True), ((4,), False), ((2, 2, 3), True), ((1, 2, 2, 2), False)]:
        x, weight, bias = floats(random, *shape), floats(random, 2, shape[-1]), floats(random, 2)
        out.add(
            "linear",
            {"x": x, "weight": weight} | ({"bias": bias} if biased else {}),
            x @ weight.T + (bias if biased else 0),
        )
    random = random_of("einsum")
    for equation, x_shape, y_shape in [
        ("nchw,nwhu->nchu", (1, 2, 3, 2), (1, 2, 3, 2)),
        ("chw,whr->chr", (2, 2, 3), (3, 2, 2)),
        ("abcd,adce->abce", (2, 1, 2, 3), (2, 3, 2, 1)),
    ]:
        values = [floats(random, *x_shape), floats(random, *y_shape)]
        out.add("einsum", {"values": values}, np.einsum(equation, *values), equation=equation)
    attention(out)
    return out


def attention(out):
    random = random_of("attention")
    for batch, length, source, width, mask in [
        ((1,), 2, 3, 4, None),
        ((2,), 3, 3, 2, None),
        ((1, 2), 2, 3, 3, None),
        ((1,), 2, 4, 3, "bool"),
        ((1, 2), 3, 3, 2, "bool"),
        ((2,), 2, 3, 2, "float"),
        ((1, 2), 2, 2, 3, "float"),
    ]:
        query, key = floats(random, *batch, length, width), floats(random, *batch, source, width)
        value = floats(random, *batch, source, width + 1)
        given = {"query": query, "key": key, "value": value}
        if mask == "bool":
            given["attn_mask"] = random.integers(0, 2, (length, source)).astype(bool)
            given["attn_mask"][:, 0] = True  # a row without any is not defined
        elif mask == "float":
            given["attn_mask"] = floats(random, *batch, length, source)
        result = F.scaled_dot_product_attention(*[torch.tensor(array) for array in given.values()]).numpy()
        out.add("scaled_dot_product_attention", given, result)


ACTIVATION = {
    "tanh": np.tanh,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "relu": lambda x: np.maximum(x, 0),
    "linear": lambda x: x,
    "hard_sigmoid": lambda x: np.clip(0.2 * x + 0.5, 0, 1),
}


def weights(random, gates, hidden, width):
    return {
        "weight_ih": floats(random, gates * hidden, width, low=-1, high=1),
        "weight_hh": floats(random, gates * hidden, hidden, low=-1, high=1),
        "bias": floats(random, gates * hidden, low=-1, high=1),
    }


def regate(array, order):
    """Blocks of rows in another order: ours to PyTorch's."""
    parts = np.split(array, len(order))
    return np.concatenate([parts[i] for i in order])


def lstm_torch(x, h, c, parts, backward):
    """With the weights of one direction, or of two."""
    hidden = parts[0]["weight_hh"].shape[1]
    net = torch.nn.LSTM(x.shape[2], hidden, bidirectional=len(parts) == 2).double()
    with torch.no_grad():
        for part, suffix in zip(parts, ("", "_reverse")):
            getattr(net, f"weight_ih_l0{suffix}").copy_(torch.tensor(regate(part["weight_ih"], [0, 1, 3, 2])))
            getattr(net, f"weight_hh_l0{suffix}").copy_(torch.tensor(regate(part["weight_hh"], [0, 1, 3, 2])))
            getattr(net, f"bias_ih_l0{suffix}").copy_(torch.tensor(regate(part["bias"], [0, 1, 3, 2])))
            getattr(net, f"bias_hh_l0{suffix}").zero_()
        by_direction = [torch.tensor(np.stack(np.split(state, len(parts), 1))) for state in (h, c)]
        sequence = torch.tensor(np.flip(x, 0).copy() if backward else x)
        y, (h_last, c_last) = net(sequence, tuple(by_direction))
    return y.numpy(), np.concatenate(list(h_last.numpy()), 1), np.concatenate(list(c_last.numpy()), 1)


def last_of(y, hidden, both):
    """Without output_sequence: after the last step of each direction."""
    return np.concatenate([y[-1:, :, :hidden], y[:1, :, hidden:]], 2) if both else y[-1:]


def lstm(out):
    random = random_of("lstm")
    steps, batch, width, hidden = 3, 2, 2, 2
    for direction in ("forward", "reverse", "bidirectional"):
        for whole in (True, False):
            both = direction == "bidirectional"
            parts = [weights(random, 4, hidden, width) for _ in range(1 + both)]
            x = floats(random, steps, batch, width)
            h, c = (floats(random, batch, hidden * len(parts)) for _ in range(2))
            y, h_last, c_last = lstm_torch(x, h, c, parts, direction == "reverse")
            given = {"x": x, "initial_h": h, "initial_c": c} | parts[0]
            if both:
                given |= {f"{name}_back": value for name, value in parts[1].items()}
            out.add(
                "lstm",
                given,
                (y if whole else last_of(y, hidden, both), h_last, c_last),
                direction=direction,
                output_sequence=whole,
            )
    for attrs in (
        {"clip": 0.25},
        {"activation": "relu", "cell_activation": "sigmoid"},
        {"recurrent_activation": "hard_sigmoid"},
        {"peephole": True},
        {"bias": False},
    ):
        lstm_by_hand(out, random, dict(attrs))


def lstm_by_hand(out, random, attrs):
    steps, batch, width, hidden = 2, 1, 2, 2
    part = weights(random, 4, hidden, width)
    if not attrs.pop("bias", True):
        del part["bias"]
    if attrs.pop("peephole", False):
        part["peephole"] = floats(random, 3 * hidden, low=-1, high=1)
    x, h, c = (
        floats(random, steps, batch, width),
        floats(random, batch, hidden),
        floats(random, batch, hidden),
    )
    given = {"x": x, "initial_h": h, "initial_c": c} | part
    gate = ACTIVATION[attrs.get("recurrent_activation", "sigmoid")]
    inner, outer = (ACTIVATION[attrs.get(name, "tanh")] for name in ("cell_activation", "activation"))
    peep = np.split(part.get("peephole", np.zeros(3 * hidden)), 3)
    rows = []
    for step in x:
        i, f, o, z = np.split(
            step @ part["weight_ih"].T + h @ part["weight_hh"].T + part.get("bias", 0), 4, axis=1
        )
        i, f = gate(i + peep[0] * c), gate(f + peep[1] * c)
        c = f * c + i * inner(z)
        if "clip" in attrs:
            c = np.clip(c, -attrs["clip"], attrs["clip"])
        h = gate(o + peep[2] * c) * outer(c)
        rows.append(h)
    out.add("lstm", given, (np.stack(rows), h, c), output_sequence=True, **attrs)


def gru(out):
    random = random_of("gru")
    steps, batch, width, hidden = 3, 2, 2, 2
    kinds = [
        ({}, True),
        ({"output_sequence": True}, True),
        ({"output_sequence": True, "direction": "reverse"}, True),
        ({"output_sequence": True, "recurrent_activation": "hard_sigmoid", "activation": "relu"}, True),
        ({"output_sequence": True}, False),
    ]
    for attrs, biased in kinds:
        part = weights(random, 3, hidden, width)
        if not biased:
            del part["bias"]
        x, h = floats(random, steps, batch, width), floats(random, batch, hidden)
        given, rows = {"x": x, "initial_h": h} | part, []
        gate, act = (
            ACTIVATION[attrs.get("recurrent_activation", "sigmoid")],
            ACTIVATION[attrs.get("activation", "tanh")],
        )
        w, r, b = (
            np.split(part["weight_ih"], 3),
            np.split(part["weight_hh"], 3),
            np.split(part.get("bias", np.zeros(6)), 3),
        )
        for step in np.flip(x, 0) if attrs.get("direction") == "reverse" else x:
            reset, update = gate(step @ w[0].T + h @ r[0].T + b[0]), gate(step @ w[2].T + h @ r[2].T + b[2])
            h = (1 - update) * act(step @ w[1].T + (reset * h) @ r[1].T + b[1]) + update * h
            rows.append(h)
        y = np.stack(rows)
        out.add("gru", given, (y if attrs.get("output_sequence") else y[-1:], h), **attrs)
    for direction in ("forward", "reverse"):
        for whole in (True, False):
            part, extra = weights(random, 3, hidden, width), floats(random, 3 * hidden, low=-1, high=1)
            x, h = floats(random, steps, batch, width), floats(random, batch, hidden)
            y, last = gru_torch(np.flip(x, 0).copy() if direction == "reverse" else x, h, part, extra)
            out.add(
                "gru",
                {"x": x, "initial_h": h} | part | {"input_bias": extra},
                (y if whole else y[-1:], last),
                direction=direction,
                output_sequence=whole,
                reset_after=True,
            )


def gru_torch(x, h, part, input_bias):
    net = torch.nn.GRU(x.shape[2], h.shape[1]).double()
    order = [0, 2, 1]  # ours: reset, output, update
    with torch.no_grad():
        net.weight_ih_l0.copy_(torch.tensor(regate(part["weight_ih"], order)))
        net.weight_hh_l0.copy_(torch.tensor(regate(part["weight_hh"], order)))
        net.bias_ih_l0.copy_(torch.tensor(regate(input_bias, order)))
        net.bias_hh_l0.copy_(torch.tensor(regate(part["bias"], order)))
        y, last = net(torch.tensor(x), torch.tensor(h)[None])
    return y.numpy(), last[0].numpy()


def rnn(out):
    random = random_of("rnn")
    for attrs in (
        {},
        {"output_sequence": True},
        {"output_sequence": True, "direction": "reverse"},
        {"output_sequence": True, "activation": "relu"},
    ):
        part = weights(random, 1, 2, 3)
        x, h = floats(random, 3, 2, 3), floats(random, 2, 2)
        net = torch.nn.RNN(3, 2, nonlinearity=attrs.get("activation", "tanh")).double()
        with torch.no_grad():
            net.weight_ih_l0.copy_(torch.tensor(part["weight_ih"]))
            net.weight_hh_l0.copy_(torch.tensor(part["weight_hh"]))
            net.bias_ih_l0.copy_(torch.tensor(part["bias"]))
            net.bias_hh_l0.zero_()
            sequence = np.flip(x, 0).copy() if attrs.get("direction") == "reverse" else x
            y, last = net(torch.tensor(sequence), torch.tensor(h)[None])
        y = y.numpy()
        out.add(
            "rnn",
            {"x": x, "initial_h": h} | part,
            (y if attrs.get("output_sequence") else y[-1:], last[0].numpy()),
            **attrs,
        )


def families():
    out = Family("recurrent")
    for part in (lstm, gru, rnn):
        part(out)
    return [products(), out]
