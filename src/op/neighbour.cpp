// SPDX-License-Identifier: Apache-2.0
// Distances between rows, and the nearest rows: what nearest neighbours and radial kernels are made of.
#include <algorithm>
#include <numeric>

#include "base/error.h"
#include "base/text.h"
#include "op/infer.h"
#include "op/ops.h"

namespace tl {
namespace {

void need_rows(const InferCall& call) {
  need_rank(call, 0, 2, 2);
  need_rank(call, 1, 2, 2);
  Dim a = call.type(0).shape[1], b = call.type(1).shape[1];
  if (is_known(a) && is_known(b) && a != b)
    throw Error(Code::bad_input,
                text("the rows of {} and {} differ in length", text_of(call.type(0)), text_of(call.type(1))));
}

std::vector<Type> infer_distance(const InferCall& call) {
  need_rows(call);
  return {Type(common_dtype(call), {call.type(0).shape[0], call.type(1).shape[0]})};
}

std::vector<Type> infer_nearest(const InferCall& call) {
  need_rows(call);
  Dim n = call.type(1).shape[0], k = call.attrs.integer("k");
  if (k < 0 || (is_known(n) && k > n)) throw Error(Code::bad_input, text("k = {} of {} samples", k, n));
  Shape shape{call.type(0).shape[0], k};
  return {Type(DType::i32, shape), Type(common_dtype(call), shape)};
}

double distance(const double* a, const double* b, std::int64_t n) {
  double sum = 0;
  for (std::int64_t i = 0; i < n; ++i) sum += (a[i] - b[i]) * (a[i] - b[i]);
  return sum;
}

// The distances of row i of the first input to all rows of the second.
std::vector<double> distances(const ReferenceCall& call, std::int64_t i) {
  const Array &x = *call.in[0], &y = *call.in[1];
  std::int64_t length = x.shape[1];
  std::vector<double> out(static_cast<std::size_t>(y.shape[0]));
  for (std::size_t k = 0; k < out.size(); ++k)
    out[k] =
        distance(x.data.data() + i * length, y.data.data() + static_cast<std::int64_t>(k) * length, length);
  return out;
}

void reference_distance(const ReferenceCall& call) {
  call.out[0].data.clear();
  for (std::int64_t i = 0; i < call.in[0]->shape[0]; ++i) {
    std::vector<double> row = distances(call, i);
    call.out[0].data.insert(call.out[0].data.end(), row.begin(), row.end());
  }
}

void reference_nearest(const ReferenceCall& call) {
  auto k = static_cast<std::size_t>(call.attrs.integer("k"));
  call.out[0].data.clear(), call.out[1].data.clear();
  for (std::int64_t i = 0; i < call.in[0]->shape[0]; ++i) {
    std::vector<double> row = distances(call, i);
    need(k <= row.size(), "k is more than there are samples");
    std::vector<std::size_t> order(row.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return row[a] < row[b]; });
    for (std::size_t j = 0; j < k; ++j) {
      call.out[0].data.push_back(static_cast<double>(order[j]));
      call.out[1].data.push_back(row[order[j]]);
    }
  }
}

}  // namespace

constinit const OpDef ops::squared_distance{
    .name = "squared_distance",
    .doc = "Squared Euclidean distances between the rows of x and those of y",
    .inputs = {"x", "y"},
    .infer = infer_distance,
    .reference = reference_distance,
    .samples = {{{"fp32[3, 5]", "fp32[4, 5]"}},
                {{"fp64[2, 9]", "fp64[7, 9]"}},
                {{"fp64[1, 1]", "fp64[3, 1]"}}},
};

constinit const OpDef ops::nearest{
    .name = "nearest",
    .doc = "The k samples nearest to each row of x: their places and squared distances, nearest first",
    .inputs = {"x", "samples"},
    .attrs = {{"k", AttrKind::integer, "1"}},
    .outputs = {"indices", "distances"},
    .infer = infer_nearest,
    .reference = reference_nearest,
    .samples = {{{"fp32[3, 5]", "fp32[4, 5]"}, "k=3"},
                {{"fp64[2, 9]", "fp64[7, 9]"}, "k=7"},
                {{"fp64[5, 2]", "fp64[30, 2]"}, "k=4"}},
};

}  // namespace tl
