// SPDX-License-Identifier: Apache-2.0
// Sums of products: matmul, linear, einsum, attention. All are read as equations (op/einsum.h).
#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/text.h"
#include "ir/ex.h"
#include "op/einsum.h"
#include "op/infer.h"
#include "op/matmul.h"
#include "op/ops.h"

namespace tl {
namespace {

constexpr std::string_view guide = "sbryngelson/ane-guide ch 3; hollance/neural-engine";

// ---- the reference of all: one loop over every combination of labels

// Walks over the products of `lengths`, keeping one offset per operand.
class Odometer {
 public:
  Odometer(std::vector<Dim> lengths, std::vector<Shape> strides)
      : lengths_(std::move(lengths)),
        strides_(std::move(strides)),
        at_(lengths_.size(), 0),
        offsets_(strides_.size(), 0) {}
  std::int64_t count() const { return volume(lengths_); }
  std::size_t offset(std::size_t operand) const { return static_cast<std::size_t>(offsets_[operand]); }
  void next() {
    for (std::size_t d = lengths_.size(); d-- > 0;) {
      bool wraps = ++at_[d] == lengths_[d];
      for (std::size_t i = 0; i < offsets_.size(); ++i)
        offsets_[i] += strides_[i][d] * (wraps ? 1 - lengths_[d] : 1);
      if (!wraps) return;
      at_[d] = 0;
    }
  }

 private:
  std::vector<Dim> lengths_;
  std::vector<Shape> strides_;
  std::vector<Dim> at_, offsets_;
};

void contract(const Equation& eq, std::span<const Array* const> in, Array& out) {
  std::vector<Shape> shapes, strides;
  for (const Array* a : in) shapes.push_back(a->shape);
  std::vector<Dim> lengths = label_lengths(eq, shapes);
  out.shape.clear();
  for (int label : eq.output) out.shape.push_back(lengths[static_cast<std::size_t>(label)]);
  out.data.assign(static_cast<std::size_t>(volume(out.shape)), 0);
  for (std::size_t i = 0; i < in.size(); ++i) strides.push_back(label_strides(eq, eq.inputs[i], shapes[i]));
  strides.push_back(label_strides(eq, eq.output, out.shape));
  Odometer at(lengths, strides);
  for (std::int64_t n = at.count(); n > 0; --n, at.next()) {
    double product = 1;
    for (std::size_t i = 0; i < in.size(); ++i) product *= in[i]->data[at.offset(i)];
    out.data[at.offset(in.size())] += product;
  }
}

// ---- matmul

DType result_dtype(const InferCall& call) {  // of the operand that is not constant, x first
  bool y_decides = call.value(0) && !call.value(1);
  return call.type(y_decides ? 1 : 0).dtype;
}

std::vector<Type> infer_equation(const Equation& eq, std::span<const Shape> shapes, DType dtype) {
  std::vector<Dim> lengths = label_lengths(eq, shapes);
  Type out(dtype, {});
  for (int label : eq.output) out.shape.push_back(lengths[static_cast<std::size_t>(label)]);
  return {out};
}

std::vector<Type> infer_matmul(const InferCall& call) {
  const Shape &x = call.type(0).shape, &y = call.type(1).shape;
  need(!x.empty() && !y.empty(), "takes inputs of rank 1 or more");
  Equation eq = equation_of(ops::matmul, call.attrs, std::vector{x.size(), y.size()});
  int k = eq.labels - 2;
  auto length = [&](std::size_t i, const Shape& s) {
    auto found = std::find(eq.inputs[i].begin(), eq.inputs[i].end(), k);
    return s[static_cast<std::size_t>(found - eq.inputs[i].begin())];
  };
  if (is_known(length(0, x)) && is_known(length(1, y)) && length(0, x) != length(1, y))
    throw Error(Code::bad_input, text("{} times {}: {} columns for {} rows", text_of(call.type(0)),
                                      text_of(call.type(1)), length(0, x), length(1, y)));
  return infer_equation(eq, std::vector{x, y}, result_dtype(call));
}

void reference_matmul(const ReferenceCall& call) {
  contract(
      equation_of(ops::matmul, call.attrs, std::vector{call.in[0]->shape.size(), call.in[1]->shape.size()}),
      call.in.first(2), call.out[0]);
}

Ex with_axis(Ex x, std::int64_t axis) {
  return emit(find_op("expand_dims"), {x}, {{"axes", std::vector{axis}}});
}
Ex without_axis(Ex x, std::int64_t axis) {
  return emit(find_op("squeeze"), {x}, {{"axes", std::vector{axis}}});
}
Ex product(Ex a, Ex b, bool ta, bool tb) {
  return emit(ops::matmul, {a, b}, {{"transpose_x", ta}, {"transpose_y", tb}});
}

std::vector<Ex> gradient_matmul(const GradientCall& call) {
  Ex x = call.in[0], y = call.in[1], g = call.grad[0];
  bool row = x.type().rank() == 1, column = y.type().rank() == 1;
  bool tx = !row && call.attrs.boolean("transpose_x"), ty = !column && call.attrs.boolean("transpose_y");
  if (column) y = with_axis(y, -1), g = with_axis(g, -1);
  if (row) x = with_axis(x, 0), g = with_axis(g, -2);
  Ex dx = tx ? product(y, g, ty, true) : product(g, y, false, !ty);
  Ex dy = ty ? product(g, x, true, tx) : product(x, g, !tx, false);
  return {row ? without_axis(dx, -2) : dx, column ? without_axis(dy, -1) : dy};
}

// ---- linear

std::vector<Type> infer_linear(const InferCall& call) {
  need_rank(call, 0, 1, 64);
  need_rank(call, 1, 2, 2);
  const Shape &x = call.type(0).shape, &w = call.type(1).shape;
  if (is_known(x.back()) && is_known(w[1]) && x.back() != w[1])
    throw Error(Code::bad_input,
                text("x is {}, but the weight is {}", text_of(call.type(0)), text_of(call.type(1))));
  if (call.has(2)) {
    need_rank(call, 2, 1, 1);
    Dim bias = call.type(2).shape[0];
    if (is_known(bias) && is_known(w[0]) && bias != w[0] && bias != 1)
      throw Error(Code::bad_input, text("the bias has {} elements for {} rows of the weight", bias, w[0]));
  }
  Type out = call.type(0);
  out.shape.back() = w[0];
  return {out};
}

void reference_linear(const ReferenceCall& call) {
  contract(equation_of(ops::linear, call.attrs, std::vector{call.in[0]->shape.size(), std::size_t{2}}),
           call.in.first(2), call.out[0]);
  if (call.in.size() < 3 || !call.in[2]) return;
  const std::vector<double>& bias = call.in[2]->data;
  std::size_t n = static_cast<std::size_t>(call.out[0].shape.back());
  for (std::size_t i = 0; i < call.out[0].data.size(); ++i)
    call.out[0].data[i] += bias[bias.size() == 1 ? 0 : i % n];
}

Ex as_matrix(Ex x) {  // rows of the last axis
  Dim last = x.shape().back();
  if (!is_known(last))
    throw Error(Code::unsupported, "the gradient of linear needs to know the last dimension");
  return emit(find_op("reshape"), {x, integers(x.place(), {-1, last})});
}

std::vector<Ex> gradient_linear(const GradientCall& call) {
  Ex g = call.grad[0], rows = as_matrix(g);
  std::vector<Ex> grads{product(g, call.in[1], false, false),
                        product(rows, as_matrix(call.in[0]), true, false)};
  if (call.in.size() > 2 && call.in[2])
    grads.push_back(
        emit(find_op("reduce_sum"), {rows}, {{"axes", std::vector<std::int64_t>{0}}, {"keep_dims", false}}));
  return grads;
}

// ---- einsum

std::vector<Type> infer_einsum(const InferCall& call) {
  DType dtype = common_dtype(call);
  std::vector<std::size_t> ranks;
  std::vector<Shape> shapes;
  for (const Type& t : call.types) ranks.push_back(t.rank()), shapes.push_back(t.shape);
  return infer_equation(equation_of(ops::einsum, call.attrs, ranks), shapes, dtype);
}

void reference_einsum(const ReferenceCall& call) {
  std::vector<std::size_t> ranks;
  for (const Array* a : call.in) ranks.push_back(a->shape.size());
  contract(equation_of(ops::einsum, call.attrs, ranks), call.in, call.out[0]);
}

// The gradient of one operand: the equation with this operand and the output exchanged. Labels that only this
// operand has are summed in the forward direction: there a factor of ones brings them back.
Ex gradient_of_operand(const Equation& eq, std::span<const Ex> in, Ex g, std::size_t which) {
  Equation back{.inputs = {eq.output}, .output = eq.inputs[which], .labels = eq.labels};
  Labels sorted = back.output;
  std::sort(sorted.begin(), sorted.end());
  if (std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end())
    throw Error(Code::unsupported, "einsum with a repeated label in one term has no gradient");
  std::vector<Ex> operands{g};
  for (std::size_t i = 0; i < in.size(); ++i)
    if (i != which) back.inputs.push_back(eq.inputs[i]), operands.push_back(in[i]);
  Labels lost;
  Shape lengths;
  for (std::size_t d = 0; d < back.output.size(); ++d) {
    int label = back.output[d];
    bool there = std::any_of(back.inputs.begin(), back.inputs.end(),
                             [&](const Labels& l) { return std::count(l.begin(), l.end(), label) > 0; });
    if (!there) lost.push_back(label), lengths.push_back(in[which].shape()[d]);
  }
  if (!lost.empty()) {
    if (!is_known(lengths))
      throw Error(Code::unsupported, "the gradient of einsum needs to know a summed dimension");
    std::vector<double> ones(static_cast<std::size_t>(volume(lengths)), 1);
    back.inputs.push_back(lost);
    operands.push_back(constant(g.place(), from_doubles(ones, g.type().dtype, lengths)));
  }
  return emit(ops::einsum, operands, attrs_of({{"equation", text_of(back)}}));
}

std::vector<Ex> gradient_einsum(const GradientCall& call) {
  std::vector<std::size_t> ranks;
  for (const Ex& x : call.in) ranks.push_back(x.type().rank());
  Equation eq = equation_of(ops::einsum, call.attrs, ranks);
  std::vector<Ex> grads;
  for (std::size_t i = 0; i < call.in.size(); ++i)
    grads.push_back(gradient_of_operand(eq, call.in, call.grad[0], i));
  return grads;
}

// ---- scaled_dot_product_attention

std::vector<Type> infer_attention(const InferCall& call) {
  for (std::size_t i = 0; i < 3; ++i) need_rank(call, i, 2, 64);
  const Shape &q = call.type(0).shape, &k = call.type(1).shape, &v = call.type(2).shape;
  need(q.size() == k.size() && k.size() == v.size(), "takes query, key and value of one rank");
  auto agree = [](Dim a, Dim b) { return !is_known(a) || !is_known(b) || a == b; };
  std::size_t r = q.size();
  Type out(call.type(0).dtype, q);
  for (std::size_t d = 0; d + 2 < r; ++d) {
    if (!agree(q[d], k[d]) || !agree(q[d], v[d]) || !agree(k[d], v[d]))
      throw Error(Code::bad_input, text("the batch of query {}, key {} and value {} differ",
                                        text_of(call.type(0)), text_of(call.type(1)), text_of(call.type(2))));
    if (!is_known(q[d])) out.shape[d] = is_known(k[d]) ? k[d] : is_known(v[d]) ? v[d] : q[d];
  }
  if (!agree(q[r - 1], k[r - 1]))
    throw Error(Code::bad_input, text("query {} and key {} differ in the last dimension",
                                      text_of(call.type(0)), text_of(call.type(1))));
  if (!agree(k[r - 2], v[r - 2]))
    throw Error(Code::bad_input,
                text("key {} and value {} differ in length", text_of(call.type(1)), text_of(call.type(2))));
  out.shape[r - 1] = v[r - 1];
  if (call.has(3)) {
    Shape scores = out.shape;
    scores[r - 1] = k[r - 2];
    Shape both = broadcast(scores, call.type(3).shape);
    bool fits = both.size() == r;
    for (std::size_t d = 0; fits && d < r; ++d) fits = agree(both[d], scores[d]);
    if (!fits)
      throw Error(Code::bad_input,
                  text("a mask {} for scores [{}]", text_of(call.type(3)), join(scores, ", ")));
  }
  return {out};
}

// Where the mask has the scores' element `at`, NumPy's rule.
std::size_t broadcast_offset(std::span<const Dim> shape, std::span<const Dim> whole, std::int64_t at) {
  std::int64_t offset = 0, step = 1;
  for (std::size_t back = 1; back <= whole.size(); ++back) {
    Dim length = whole[whole.size() - back];
    if (back <= shape.size()) {
      Dim own = shape[shape.size() - back];
      if (own != 1) offset += at % length * step;
      step *= own;
    }
    at /= length;
  }
  return static_cast<std::size_t>(offset);
}

void softmax_row(std::span<double> row) {
  double top = -std::numeric_limits<double>::infinity(), sum = 0;
  for (double s : row) top = std::isnan(s) ? s : std::max(top, s);
  for (double& s : row) sum += s = std::exp(s - top);
  for (double& s : row) s /= sum;
}

void reference_attention(const ReferenceCall& call) {
  const Array &q = *call.in[0], &k = *call.in[1], &v = *call.in[2];
  const Array* mask = call.in.size() > 3 ? call.in[3] : nullptr;
  std::size_t r = q.shape.size();
  auto dim = [](const Array& a, std::size_t d) { return static_cast<std::size_t>(a.shape[d]); };
  std::size_t queries = dim(q, r - 2), keys = dim(k, r - 2), e = dim(q, r - 1), ev = dim(v, r - 1);
  Shape scores_shape = q.shape;
  scores_shape[r - 1] = k.shape[r - 2];
  Array& out = call.out[0];
  out.shape = q.shape;
  out.shape[r - 1] = v.shape[r - 1];
  out.data.assign(static_cast<std::size_t>(volume(out.shape)), 0);
  std::vector<double> row(keys);
  std::size_t rows = out.data.size() / std::max<std::size_t>(ev, 1);
  for (std::size_t l = 0; ev > 0 && l < rows; ++l) {
    std::size_t batch = l / queries;
    for (std::size_t s = 0; s < keys; ++s) {
      double dot = 0;
      for (std::size_t i = 0; i < e; ++i) dot += q.data[l * e + i] * k.data[(batch * keys + s) * e + i];
      row[s] = dot / std::sqrt(static_cast<double>(e));
      if (!mask) continue;
      double m =
          mask->data[broadcast_offset(mask->shape, scores_shape, static_cast<std::int64_t>(l * keys + s))];
      if (mask->dtype != DType::boolean) row[s] += m;
      else if (m == 0) row[s] = -std::numeric_limits<double>::infinity();
    }
    softmax_row(row);
    for (std::size_t s = 0; s < keys; ++s)
      for (std::size_t i = 0; i < ev; ++i)
        out.data[l * ev + i] += row[s] * v.data[(batch * keys + s) * ev + i];
  }
}

std::vector<Ex> decompose_attention(std::span<const Ex> in, const Attrs&) {
  Dim e = in[0].shape().back();
  if (!is_known(e)) throw Error(Code::unsupported, "attention over vectors of unknown length");
  Ex scaled = emit(find_op("mul"), {in[0], 1 / std::sqrt(static_cast<double>(e))});
  Ex scores = product(scaled, in[1], false, true);
  if (in.size() > 3 && in[3]) {
    if (in[3].type().dtype != DType::boolean) {
      Ex mask = in[3].type().dtype == scores.type().dtype
                    ? in[3]
                    : emit(find_op("cast"), {in[3]}, {{"dtype", std::string(name_of(scores.type().dtype))}});
      scores = emit(find_op("add"), {scores, mask});
    } else {
      scores = emit(find_op("select"), {in[3], scores, -std::numeric_limits<double>::infinity()});
    }
  }
  Ex weights = emit(find_op("softmax"), {scores}, {{"axis", std::int64_t{-1}}});
  return {product(weights, in[2], false, false)};
}

}  // namespace

Equation equation_of(const OpDef& op, const Attrs& attrs, std::span<const std::size_t> ranks) {
  if (&op == &ops::einsum) return parse_equation(attrs.word("equation"), ranks);
  if (&op == &ops::linear) {
    Equation eq = matmul_equation(ranks[0], 2, false, true);
    return eq;
  }
  return matmul_equation(ranks[0], ranks[1], attrs.boolean("transpose_x"), attrs.boolean("transpose_y"));
}

Shape label_strides(const Equation& eq, const Labels& labels, std::span<const Dim> shape) {
  Shape strides(static_cast<std::size_t>(eq.labels), 0), own = row_major(shape);
  for (std::size_t d = 0; d < labels.size(); ++d)
    if (shape[d] != 1) strides[static_cast<std::size_t>(labels[d])] += own[d];
  return strides;
}

constinit const OpDef ops::matmul{
    .name = "matmul",
    .doc =
        "Matrix product over the last two axes; leading axes broadcast, rank 1 is a row on the left, a "
        "column on the right",
    .inputs = {"x", "y"},
    .attrs = {{"transpose_x", AttrKind::boolean, "false"}, {"transpose_y", AttrKind::boolean, "false"}},
    .infer = infer_matmul,
    .gradient = gradient_matmul,
    .reference = reference_matmul,
    .mil = {.name = "matmul"},
    .ane = {Fit::conditional, "fp16 of rank at most 5; products beyond 32768 overflow", guide},
    .near_zero = 2e-5,
    .samples = {{{"fp32[3, 5]", "fp32[5, 4]"}},
                {{"fp16[2, 1, 3, 5]", "fp16[4, 6, 5]"}, "transpose_y=true"},
                {{"fp32[2, 7, 3]", "fp32[2, 7, 9]"}, "transpose_x=true"},
                {{"fp32[6]", "fp32[2, 6, 5]"}},
                {{"fp16[3, 2, 6]", "fp16[6]"}},
                {{"int32[3, 4] -9..9", "int32[4, 2] -9..9"}}},
};

constinit const OpDef ops::linear{
    .name = "linear",
    .doc = "x times the transposed weight [out, in], plus a bias",
    .inputs = {"x", "weight", {"bias", Arity::optional}},
    .infer = infer_linear,
    .gradient = gradient_linear,
    .reference = reference_linear,
    .mil = {.name = "linear"},
    .ane = {Fit::conditional, "fp16 of rank at most 4; a 1x1 conv is the better form", guide},
    .near_zero = 2e-5,
    .samples = {{{"fp32[3, 5]", "fp32[4, 5]", "fp32[4]"}},
                {{"fp16[2, 3, 17]", "fp16[33, 17]", "fp16[33]"}},
                {{"fp32[6]", "fp32[5, 6]"}},
                {{"int32[2, 3] -9..9", "int32[4, 3] -9..9", "int32[4] -9..9"}}},
};

constinit const OpDef ops::einsum{
    .name = "einsum",
    .doc = "Sum of products, by an equation such as \"nchw,nwhu->nchu\"",
    .inputs = {{"values", Arity::many}},
    .attrs = {{"equation", AttrKind::word, required}},
    .infer = infer_einsum,
    .gradient = gradient_einsum,
    .reference = reference_einsum,
    .mil = {.name = "einsum"},
    .ane = {Fit::conditional, "the two forms of MIL, as batched matmul", guide},
    .near_zero = 2e-5,
    .samples = {{{"fp32[2, 3, 4, 5]", "fp32[2, 5, 4, 6]"}, "equation=\"nchw,nwhu->nchu\""},
                {{"fp16[3, 4, 5]", "fp16[5, 4, 7]"}, "equation=\"chw,whr->chr\""},
                {{"fp32[2, 3, 4]", "fp32[4, 5]"}, "equation=\"...i,ij->...j\""},
                {{"fp32[3, 4]", "fp32[5]"}, "equation=\"ij,k->kj\""},
                {{"fp32[3, 4]", "fp32[4, 2]", "fp32[2, 5]"}, "equation=\"ij,jk,kl->li\""}},
};

constinit const OpDef ops::scaled_dot_product_attention{
    .name = "scaled_dot_product_attention",
    .doc = "softmax(query . key^T / sqrt(E) + mask) . value; a mask of booleans keeps what is true",
    .inputs = {"query", "key", "value", {"attn_mask", Arity::optional}},
    .infer = infer_attention,
    .decompose = decompose_attention,
    .reference = reference_attention,
    .mil = {.name = "scaled_dot_product_attention", .since = 8},
    .ane = {Fit::conditional, "fp16 of rank at most 5; chunk it per head to stay in on-chip memory", guide},
    .near_zero = 1e-5,
    .samples = {{{"fp32[2, 3, 5, 4]", "fp32[2, 3, 7, 4]", "fp32[2, 3, 7, 6]"}},
                {{"fp16[1, 2, 4, 8]", "fp16[1, 2, 6, 8]", "fp16[1, 2, 6, 8]", "fp16[4, 6]"}},
                {{"fp32[2, 3, 8]", "fp32[2, 5, 8]", "fp32[2, 5, 8]", "bool[3, 5]"}}},
};

}  // namespace tl
