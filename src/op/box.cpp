// SPDX-License-Identifier: Apache-2.0
// Boxes that do not overlap much, as Core ML's model of that name picks them: centres and sizes, scores per
// class, as many rows as are left.
#include <algorithm>
#include <numeric>

#include "base/error.h"
#include "base/text.h"
#include "op/infer.h"
#include "op/ops.h"

namespace tl {
namespace {

constexpr std::int64_t most_rows = 1 << 24;

std::vector<Type> infer_boxes(const InferCall& call) {
  const Type &scores = call.type(0), &boxes = call.type(1);
  need_rank(call, 0, 2, 2);
  need_rank(call, 1, 2, 2);
  auto differ = [](Dim a, Dim b) { return is_known(a) && is_known(b) && a != b; };
  if (differ(boxes.shape[1], 4))
    throw Error(Code::bad_input, text("boxes have 4 numbers, not {}", boxes.shape[1]));
  if (differ(scores.shape[0], boxes.shape[0]))
    throw Error(Code::bad_input, text("there are {} scores and {} boxes", scores.shape[0], boxes.shape[0]));
  std::int64_t least = call.attrs.integer("least"), most = call.attrs.integer("most");
  need(least >= 0 && (most < 0 || most >= least), "least and most do not agree");
  need(least <= most_rows, "more rows are asked for than are possible");
  Dim n = least == most ? least : unknown;
  return {Type(scores.dtype, {n, scores.shape[1]}), Type(boxes.dtype, {n, 4})};
}

double overlap(const double* a, const double* b) {
  auto along = [&](int axis) {
    double low = std::max(a[axis] - a[axis + 2] / 2, b[axis] - b[axis + 2] / 2);
    return std::max(0.0, std::min(a[axis] + a[axis + 2] / 2, b[axis] + b[axis + 2] / 2) - low);
  };
  double both = along(0) * along(1), all = a[2] * a[3] + b[2] * b[3] - both;
  return all > 0 ? both / all : 0;
}

struct Candidate {
  std::int64_t box = 0, winner = 0;  // the class with the highest score
  double score = 0;
};

std::vector<Candidate> candidates(const Array& scores, double threshold) {
  std::int64_t classes = scores.shape[1];
  std::vector<Candidate> out;
  for (std::int64_t i = 0; i < scores.shape[0] && classes > 0; ++i) {
    const double* row = scores.data.data() + i * classes;
    const double* best = std::max_element(row, row + classes);
    if (*best >= threshold) out.push_back({i, best - row, *best});
  }
  std::stable_sort(out.begin(), out.end(),
                   [](const Candidate& a, const Candidate& b) { return a.score > b.score; });
  return out;
}

std::vector<Candidate> picked(const ReferenceCall& call) {
  const Array& boxes = *call.in[1];
  std::int64_t most = call.attrs.integer("most");
  double limit = call.in[2]->data.at(0);
  bool per_class = call.attrs.boolean("per_class");
  std::vector<Candidate> kept;
  for (const Candidate& c : candidates(*call.in[0], call.in[3]->data.at(0))) {
    if (most >= 0 && static_cast<std::int64_t>(kept.size()) >= most) break;
    bool hidden = std::any_of(kept.begin(), kept.end(), [&](const Candidate& k) {
      return (!per_class || k.winner == c.winner) &&
             overlap(boxes.data.data() + 4 * k.box, boxes.data.data() + 4 * c.box) > limit;
    });
    if (!hidden) kept.push_back(c);
  }
  return kept;
}

void reference_boxes(const ReferenceCall& call) {
  need(call.in[2]->size() == 1 && call.in[3]->size() == 1, "thresholds are one number");
  std::vector<Candidate> kept = picked(call);
  Dim n = std::max(static_cast<Dim>(kept.size()), call.attrs.integer("least"));
  for (std::size_t k = 0; k < 2; ++k) {
    Dim width = call.in[k]->shape[1];
    call.out[k].shape = {n, width};
    call.out[k].data.assign(static_cast<std::size_t>(n * width), 0);
    for (std::size_t i = 0; i < kept.size(); ++i)
      std::copy_n(call.in[k]->data.data() + kept[i].box * width, width,
                  call.out[k].data.data() + static_cast<Dim>(i) * width);
  }
}

}  // namespace

constinit const OpDef ops::pick_boxes{
    .name = "pick_boxes",
    .doc =
        "Boxes (centre x, centre y, width, height) by descending score, without those that overlap a better "
        "one",
    .inputs = {"scores", "boxes", "iou_threshold", "score_threshold"},
    .attrs = {{"per_class", AttrKind::boolean, "false"},
              {"least", AttrKind::integer, "0"},
              {"most", AttrKind::integer, "-1"}},
    .outputs = {"scores", "boxes"},
    .infer = infer_boxes,
    .reference = reference_boxes,
    .samples = {{{"fp32[6, 2] 0..1", "fp32[6, 4] 0..1", "fp32[1] = [0.3]", "fp32[1] = [0.2]"},
                 "least=2, most=4"},
                {{"fp64[6, 2] 0..1", "fp64[6, 4] 0..1", "fp64[1] = [0.3]", "fp64[1] = [0.2]"},
                 "least=3, most=3"}},
};

}  // namespace tl
