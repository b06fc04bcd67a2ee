// SPDX-License-Identifier: Apache-2.0
// How support vector machines with several classes decide: each pair of classes has a decision, which votes
// or gives a probability; as LIBSVM does.
#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/text.h"
#include "op/infer.h"
#include "op/ops.h"

namespace tl {
namespace {

constexpr std::int64_t most_classes = 1 << 15;

// How many classes have this many pairs.
Dim classes_of(Dim pairs) {
  if (!is_known(pairs)) return unknown;
  auto k = static_cast<Dim>(std::llround((1 + std::sqrt(1 + 8 * static_cast<double>(pairs))) / 2));
  if (pairs < 1 || k > most_classes || k * (k - 1) / 2 != pairs)
    throw Error(Code::bad_input, text("{} is not a number of pairs of classes", pairs));
  return k;
}

// ---- pair_decision

std::vector<Type> infer_decision(const InferCall& call) {
  need_rank(call, 0, 2, 2);
  need_rank(call, 1, 2, 2);
  need_rank(call, 2, 1, 1);
  need_rank(call, 3, 1, 1);
  Dim pairs = call.type(3).shape[0], classes = classes_of(pairs);
  if (is_known(classes)) {
    auto must = [&](Dim d, Dim wanted) {
      if (is_known(d) && d != wanted)
        throw Error(Code::bad_input, text("{} where {} classes need {}", d, classes, wanted));
    };
    must(call.type(1).shape[0], classes - 1);
    must(call.type(2).shape[0], classes);
  }
  return {Type(call.type(0).dtype, {call.type(0).shape[0], pairs})};
}

void reference_decision(const ReferenceCall& call) {
  const Array &kernel = *call.in[0], &coefficient = *call.in[1], &count = *call.in[2], &rho = *call.in[3];
  std::int64_t vectors = kernel.shape[1], classes = count.size();
  need(coefficient.shape[1] == vectors, "coefficients and kernel values differ in number");
  std::vector<std::int64_t> start(static_cast<std::size_t>(classes) + 1, 0);
  for (std::size_t c = 0; c < count.data.size(); ++c) {
    need(count.data[c] >= 0 && count.data[c] <= static_cast<double>(vectors), "a class has too many vectors");
    start[c + 1] = start[c] + static_cast<std::int64_t>(count.data[c]);
  }
  need(start.back() == vectors, "the vectors of the classes are not as many as there are kernel values");
  auto part = [&](std::int64_t row, std::int64_t of_class, std::int64_t other) {
    const double* c = coefficient.data.data() + other * vectors;
    const double* k = kernel.data.data() + row * vectors;
    double sum = 0;
    for (std::int64_t i = start[static_cast<std::size_t>(of_class)];
         i < start[static_cast<std::size_t>(of_class) + 1]; ++i)
      sum += c[i] * k[i];
    return sum;
  };
  std::size_t at = 0;
  for (std::int64_t row = 0; row < kernel.shape[0]; ++row)
    for (std::int64_t i = 0, p = 0; i < classes; ++i)
      for (std::int64_t j = i + 1; j < classes; ++j, ++p)
        call.out[0].data[at++] =
            part(row, i, j - 1) + part(row, j, i) - rho.data[static_cast<std::size_t>(p)];
}

// ---- pair_vote

std::vector<Type> infer_vote(const InferCall& call) {
  need_rank(call, 0, 2, 2);
  return {Type(call.type(0).dtype, {call.type(0).shape[0], classes_of(call.type(0).shape[1])})};
}

void reference_vote(const ReferenceCall& call) {
  const Array& decision = *call.in[0];
  std::int64_t classes = call.out[0].shape[1];
  std::fill(call.out[0].data.begin(), call.out[0].data.end(), 0.0);
  std::size_t at = 0;
  for (std::int64_t row = 0; row < decision.shape[0]; ++row)
    for (std::int64_t i = 0; i < classes; ++i)
      for (std::int64_t j = i + 1; j < classes; ++j)
        ++call.out[0].data[static_cast<std::size_t>(row * classes + (decision.data[at++] > 0 ? i : j))];
}

// ---- pair_probability

using Matrix = std::vector<double>;  // [classes, classes]

// From the probability of i against j, for all pairs, those of the classes: Wu, Lin and Weng's second
// method, solved by turns.
void couple(const Matrix& r, std::int64_t n, double* p) {
  auto at = [n](std::int64_t i, std::int64_t j) { return static_cast<std::size_t>(i * n + j); };
  Matrix q(r.size(), 0);
  std::vector<double> qp(static_cast<std::size_t>(n));
  for (std::int64_t t = 0; t < n; ++t) {
    p[t] = 1.0 / static_cast<double>(n);
    for (std::int64_t j = 0; j < n; ++j) {
      if (j == t) continue;
      q[at(t, t)] += r[at(j, t)] * r[at(j, t)];
      q[at(t, j)] = -r[at(j, t)] * r[at(t, j)];
    }
  }
  double near = 0.005 / static_cast<double>(n);
  for (std::int64_t turn = 0; turn < std::max<std::int64_t>(100, n); ++turn) {
    double pqp = 0, worst = 0;
    for (std::int64_t t = 0; t < n; ++t) {
      double sum = 0;
      for (std::int64_t j = 0; j < n; ++j) sum += q[at(t, j)] * p[j];
      qp[static_cast<std::size_t>(t)] = sum;
      pqp += p[t] * sum;
    }
    for (double v : qp) worst = std::max(worst, std::abs(v - pqp));
    if (worst < near) break;
    for (std::int64_t t = 0; t < n; ++t) {
      double diff = (pqp - qp[static_cast<std::size_t>(t)]) / q[at(t, t)];
      p[t] += diff;
      pqp =
          (pqp + diff * (diff * q[at(t, t)] + 2 * qp[static_cast<std::size_t>(t)])) / (1 + diff) / (1 + diff);
      for (std::int64_t j = 0; j < n; ++j) {
        double& v = qp[static_cast<std::size_t>(j)];
        v = (v + diff * q[at(t, j)]) / (1 + diff);
        p[j] /= 1 + diff;
      }
    }
  }
}

std::vector<Type> infer_probability(const InferCall& call) {
  need_rank(call, 1, 1, 1);
  need_rank(call, 2, 1, 1);
  return infer_vote(call);
}

void reference_probability(const ReferenceCall& call) {
  const Array &decision = *call.in[0], &a = *call.in[1], &b = *call.in[2];
  std::int64_t classes = call.out[0].shape[1], pairs = decision.shape[1];
  need(a.size() == pairs && b.size() == pairs, "a and b must have one element per pair");
  for (std::int64_t row = 0; row < decision.shape[0]; ++row) {
    Matrix r(static_cast<std::size_t>(classes * classes), 0);
    for (std::int64_t i = 0, p = 0; i < classes; ++i)
      for (std::int64_t j = i + 1; j < classes; ++j, ++p) {
        auto k = static_cast<std::size_t>(p);
        double d = decision.data[static_cast<std::size_t>(row * pairs + p)] * a.data[k] + b.data[k];
        double one = std::clamp(1 / (1 + std::exp(d)), 1e-7, 1 - 1e-7);
        r[static_cast<std::size_t>(i * classes + j)] = one;
        r[static_cast<std::size_t>(j * classes + i)] = 1 - one;
      }
    double* out = call.out[0].data.data() + row * classes;
    if (classes == 2) out[0] = r[1], out[1] = r[2];
    else couple(r, classes, out);
  }
}

}  // namespace

constinit const OpDef ops::pair_decision{
    .name = "pair_decision",
    .doc = "The decision between each two classes of a support vector machine, from kernel values per vector",
    .inputs = {"kernel", "coefficients", "counts", "rho"},
    .infer = infer_decision,
    .reference = reference_decision,
    .samples = {{{"fp32[2, 5]", "fp32[2, 5]", "int32[3] = [2, 1, 2]", "fp32[3]"}},
                {{"fp64[3, 2]", "fp64[1, 2]", "int32[2] = [1, 1]", "fp64[1]"}}},
};

constinit const OpDef ops::pair_vote{
    .name = "pair_vote",
    .doc = "How many of the decisions between two classes each class wins",
    .inputs = {"decisions"},
    .infer = infer_vote,
    .reference = reference_vote,
    .samples = {{{"fp32[4, 3]"}}, {{"fp64[2, 1]"}}},
};

constinit const OpDef ops::pair_probability{
    .name = "pair_probability",
    .doc = "The probabilities of classes from decisions between two: 1 / (1 + exp(a d + b)), coupled",
    .inputs = {"decisions", "a", "b"},
    .infer = infer_probability,
    .reference = reference_probability,
    .samples = {{{"fp32[4, 3]", "fp32[3]", "fp32[3]"}}, {{"fp64[2, 1]", "fp64[1]", "fp64[1]"}}},
};

}  // namespace tl
