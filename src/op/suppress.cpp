// SPDX-License-Identifier: Apache-2.0
// Non-maximum suppression of detected boxes.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/error.h"
#include "base/text.h"
#include "ir/mil.h"
#include "op/infer.h"
#include "op/ops.h"

namespace tl {
namespace {

struct Layout {  // of boxes and scores: [n, boxes, numbers], or [n, numbers, boxes]
  std::size_t box_axis, number_axis;
};

Layout layout_of(const Attrs& attrs) { return attrs.boolean("boxes_last") ? Layout{2, 1} : Layout{1, 2}; }

std::vector<Type> infer_suppression(const InferCall& call) {
  need_rank(call, 0, 3, 3);
  need_rank(call, 1, 3, 3);
  Layout layout = layout_of(call.attrs);
  const Shape &boxes = call.type(0).shape, &scores = call.type(1).shape;
  Dim four = boxes[layout.number_axis];
  need(four == 4 || !is_known(four), "a box must have four numbers: centre x, centre y, width, height");
  Dim count = boxes[layout.box_axis], other = scores[layout.box_axis];
  need(count == other || !is_known(count) || !is_known(other), "boxes and scores differ in number");
  Dim most = call.attrs.integer("max_boxes");
  if (auto given = call.has(4) ? integer_values(call, 4) : std::nullopt) most = given->at(0);
  else if (call.has(4)) most = unknown;
  need(most >= 0 || (call.has(4) && most == unknown), "max_boxes is negative");
  Dim n = is_known(boxes[0]) ? boxes[0] : scores[0];
  Type box_type = call.type(0), score_type = call.type(1);
  box_type.shape[0] = score_type.shape[0] = n;
  box_type.shape[layout.box_axis] = score_type.shape[layout.box_axis] = most;
  return {box_type, score_type, Type(DType::i32, {n, most}), Type(DType::i32, {n})};
}

struct Box {
  double x0, y0, x1, y1;
  double area() const { return std::max(0.0, x1 - x0) * std::max(0.0, y1 - y0); }
};

double overlap(const Box& a, const Box& b) {
  double width = std::min(a.x1, b.x1) - std::max(a.x0, b.x0),
         height = std::min(a.y1, b.y1) - std::max(a.y0, b.y0);
  if (width <= 0 || height <= 0) return 0;
  return width * height / (a.area() + b.area() - width * height);
}

struct Image {  // the boxes of one image of the batch
  std::vector<Box> boxes = {};
  std::vector<double> best = {};         // score of the best class
  std::vector<std::int64_t> which = {};  // that class
};

// Element (box, number) of image n.
double element(const Array& a, const Layout& layout, Dim n, Dim box, Dim number) {
  Dim at[3] = {n, 0, 0};
  at[layout.box_axis] = box;
  at[layout.number_axis] = number;
  return a.data[static_cast<std::size_t>((at[0] * a.shape[1] + at[1]) * a.shape[2] + at[2])];
}

Image image_of(const Array& boxes, const Array& scores, const Layout& layout, Dim n) {
  Image image;
  Dim classes = scores.shape[layout.number_axis];
  for (Dim b = 0; b < boxes.shape[layout.box_axis]; ++b) {
    auto number = [&](Dim k) { return element(boxes, layout, n, b, k); };
    double x = number(0), y = number(1), w = number(2), h = number(3);
    image.boxes.push_back({x - w / 2, y - h / 2, x + w / 2, y + h / 2});
    double best = -std::numeric_limits<double>::infinity();
    std::int64_t which = 0;
    for (Dim c = 0; c < classes; ++c)
      if (double s = element(scores, layout, n, b, c); s > best) best = s, which = c;
    image.best.push_back(best);
    image.which.push_back(which);
  }
  return image;
}

struct Limits {
  double overlap = 0, score = 0;
  Dim most = 0;
  bool per_class = false;
};

// Inputs, where they are given, stand for the attributes.
Limits limits_of(const ReferenceCall& call) {
  auto number = [&](std::size_t input, std::string_view attr, double otherwise) {
    if (call.in.size() > input && call.in[input]) return call.in[input]->data.at(0);
    const AttrValue* value = call.attrs.find(attr);
    return value ? std::get<double>(*value) : otherwise;
  };
  Limits out{number(2, "iou_threshold", 0),
             number(3, "score_threshold", -std::numeric_limits<double>::infinity()),
             call.attrs.integer("max_boxes"), call.attrs.boolean("per_class_suppression")};
  if (call.in.size() > 4 && call.in[4]) out.most = static_cast<Dim>(call.in[4]->data.at(0));
  need(out.most >= 0, "max_boxes is negative");
  return out;
}

// Greedily from the best: what overlaps a kept box too much goes. If no score reaches the threshold, the best
// box stays.
std::vector<std::size_t> survivors(const Image& image, const Limits& limits) {
  std::vector<std::size_t> order(image.boxes.size()), kept;
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return image.best[a] > image.best[b]; });
  auto most = static_cast<std::size_t>(limits.most);
  for (std::size_t b : order) {
    if (kept.size() == most || image.best[b] < limits.score) break;
    bool gone = std::any_of(kept.begin(), kept.end(), [&](std::size_t k) {
      return (!limits.per_class || image.which[k] == image.which[b]) &&
             overlap(image.boxes[k], image.boxes[b]) > limits.overlap;
    });
    if (!gone) kept.push_back(b);
  }
  if (kept.empty() && most > 0 && !order.empty()) kept.push_back(order.front());
  return kept;
}

// Copies the numbers of box `from` of x to place `to` of y.
void copy_box(const Array& x, Array& y, const Layout& layout, Dim n, std::pair<Dim, Dim> from_to) {
  for (Dim k = 0; k < x.shape[layout.number_axis]; ++k) {
    Dim at[3] = {n, 0, 0};
    at[layout.box_axis] = from_to.second;
    at[layout.number_axis] = k;
    y.data[static_cast<std::size_t>((at[0] * y.shape[1] + at[1]) * y.shape[2] + at[2])] =
        element(x, layout, n, from_to.first, k);
  }
}

void reference_suppression(const ReferenceCall& call) {
  const Array &boxes = *call.in[0], &scores = *call.in[1];
  Layout layout = layout_of(call.attrs);
  Limits limits = limits_of(call);
  Dim most = limits.most, images = boxes.shape[0];
  call.out[0].shape = boxes.shape;
  call.out[1].shape = scores.shape;
  call.out[0].shape[layout.box_axis] = call.out[1].shape[layout.box_axis] = most;
  call.out[2].shape = {images, most};
  call.out[3].shape = {images};
  for (std::size_t k = 0; k < 4; ++k)
    call.out[k].data.assign(static_cast<std::size_t>(volume(call.out[k].shape)), k == 2 ? -1 : 0);
  for (Dim n = 0; n < images; ++n) {
    std::vector<std::size_t> kept = survivors(image_of(boxes, scores, layout, n), limits);
    for (std::size_t k = 0; k < kept.size(); ++k) {
      std::pair<Dim, Dim> from_to{static_cast<Dim>(kept[k]), static_cast<Dim>(k)};
      copy_box(boxes, call.out[0], layout, n, from_to);
      copy_box(scores, call.out[1], layout, n, from_to);
      call.out[2].data[static_cast<std::size_t>(n * most) + k] = static_cast<double>(kept[k]);
    }
    call.out[3].data[static_cast<std::size_t>(n)] = static_cast<double>(kept.size());
  }
}

void upgrade_suppression(MilNode& node) {
  if (node.opset < 7) node.set("boxes_last", false);
}

void downgrade_suppression(MilWrite& out) {
  constexpr int ios16 = 6, ios17 = 7;
  bool last = out.node.attrs.boolean("boxes_last");
  out.drop("boxes_last");
  if (last) out.need(ios17), out.outputs = 3;  // how many boxes there are is not said
  else out.at_most(ios16);
  if (!out.node.attrs.has("score_threshold")) {
    if (!last) out.set("score_threshold", scalar(-1e30, out.graph.type(out.node.inputs[1]).dtype));
  } else if (last) {
    out.at_most(ios16);  // newer files cannot say it
  }
}

}  // namespace

constinit const OpDef ops::non_maximum_suppression{
    .name = "non_maximum_suppression",
    .doc =
        "Keeps the boxes that no better box overlaps too much; gives boxes, scores, indices (-1: none) and "
        "how many.",
    .inputs = {"boxes",
               "scores",
               {"iou", Arity::optional},  // these three stand for iou_threshold, score_threshold, max_boxes
               {"score", Arity::optional},
               {"count", Arity::optional}},
    .attrs = {{"iou_threshold", AttrKind::number, required},
              {"score_threshold", AttrKind::number, absent},
              {"max_boxes", AttrKind::integer, required},
              {"per_class_suppression", AttrKind::boolean, "false"},
              {"boxes_last", AttrKind::boolean,
               "true"}},  // boxes [n, 4, b], scores [n, classes, b]; false, up to iOS 16: b first
    .outputs = {"coordinates", "scores", "indices", "number_of_boxes"},
    .infer = infer_suppression,
    .reference = reference_suppression,
    .mil = {"non_maximum_suppression",
            5,
            upgrade_suppression,
            downgrade_suppression,
            {{.name = "iou_threshold", .tied = true}, {.name = "score_threshold", .tied = true}}},
    .samples = {{.inputs = {"fp32[2, 4, 7]", "fp32[2, 3, 7]"}, .attrs = "iou_threshold=0.3, max_boxes=4"},
                {.inputs = {"fp32[1, 7, 4]", "fp32[1, 7, 3]"},
                 .attrs = "iou_threshold=0.3, score_threshold=0.5, max_boxes=9, per_class_suppression=true, "
                          "boxes_last=false"}},
};

}  // namespace tl
