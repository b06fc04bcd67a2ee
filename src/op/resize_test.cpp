// SPDX-License-Identifier: Apache-2.0
// Resizing kernels against the reference, inference of sizes, boxes, and suppression's odd ends.
#include <map>
#include <numeric>

#include "base/text.h"
#include "op/kernel_test.h"
#include "op/ops.h"

namespace tl {
namespace {

void check_resize(const OpDef& op, Shape shape, const Attrs& attrs, std::vector<std::int64_t> size = {}) {
  for (DType dtype : {DType::f32, DType::f16}) {
    std::vector<Tensor> inputs;
    inputs.push_back(random_tensor(dtype, shape, 1));
    if (!size.empty()) inputs.push_back(from_integers(size, DType::i32, {static_cast<Dim>(size.size())}));
    Trial trial{op, attrs, inputs, {false, true}};
    Attrs full = complete({op.attrs.begin(), op.attrs.end()}, attrs);
    Tensor want = run_reference(op, full, inputs)[0];
    for (Isa isa : isas_here())
      for (int threads : {1, 3}) {
        ThreadPool pool(threads);
        std::optional<Tensor> got = run_kernel(trial, kernels::resize(isa), {isa, &pool});
        REQUIRE(got);
        INFO(op.name, " ", name_of(isa), " ", name_of(dtype), " ", text_of(want.type()));
        CHECK(worst_error(*got, want, 1e-6) <= 1);
      }
  }
}

std::vector<double> one(const OpDef& op, const Attrs& attrs, std::vector<Tensor> inputs,
                        std::size_t output = 0) {
  while (inputs.size() < op.inputs.size()) inputs.emplace_back();
  return to_doubles(run_reference(op, complete({op.attrs.begin(), op.attrs.end()}, attrs), inputs)[output]);
}

Attrs target(std::int64_t height, std::int64_t width, std::string mode = {}) {
  Attrs attrs = attrs_of({{"target_size_height", height}, {"target_size_width", width}});
  if (!mode.empty()) attrs.set("sampling_mode", mode);
  return attrs;
}

}  // namespace

TEST_CASE("resizing kernels are as the reference") {
  for (const char* mode :
       {"STRICT_ALIGN_CORNERS", "ALIGN_CORNERS", "DEFAULT", "OFFSET_CORNERS", "UNALIGN_CORNERS"}) {
    check_resize(ops::resize_bilinear, {2, 3, 7, 9}, target(13, 40, mode));
    check_resize(ops::resize_bilinear, {1, 3, 64, 50}, target(30, 21, mode));
    check_resize(ops::resize_bilinear, {2, 4, 5}, target(1, 1, mode));
  }
  check_resize(ops::resize_bilinear, {1, 2, 200, 80}, target(400, 160));
  check_resize(ops::resize_bilinear, {3, 5, 6}, target(9, 6));
  check_resize(ops::resize_nearest_neighbor, {2, 3, 7, 9}, target(13, 40));
  check_resize(ops::upsample_bilinear, {2, 3, 7, 9},
               attrs_of({{"scale_factor_height", 2.0}, {"scale_factor_width", 2.5}}));
  check_resize(ops::upsample_nearest_neighbor, {2, 3, 70, 90},
               attrs_of({{"scale_factor_height", 2.0}, {"scale_factor_width", 2.0}}));
  Attrs whole =
      attrs_of({{"resized_dims", std::int64_t{1}}, {"sampling_mode", std::string("UNALIGN_CORNERS")}});
  check_resize(ops::resize, {2, 3, 20}, whole, {33});
  whole.set("resized_dims", std::int64_t{2});
  check_resize(ops::resize, {2, 3, 20}, whole, {9, 0, 33});
}

TEST_CASE("sampling positions are those of the specification") {
  Tensor x = from_doubles(std::vector<double>{0, 1}, DType::f32, {1, 2});
  std::vector<double> standard = one(ops::resize_bilinear, target(1, 5), {x});
  for (std::size_t i = 0; i < 5; ++i)
    CHECK(standard[i] == doctest::Approx(std::min(0.4 * static_cast<double>(i), 1.0)));
  std::vector<double> shifted = one(ops::resize_bilinear, target(1, 5, "UNALIGN_CORNERS"), {x});
  CHECK(shifted[1] == doctest::Approx(0.1));
  CHECK(shifted[3] == doctest::Approx(0.9));
}

// Resizing is linear: the product of y with a vector is that of x with the gradient.
TEST_CASE("the gradient of resizing is its transpose") {
  for (const OpDef* op : {&ops::resize_bilinear, &ops::resize_nearest_neighbor}) {
    Graph graph;
    Place place{&graph, &graph.body};
    Tensor x = random_tensor(DType::f32, {2, 3, 4, 5}, 1), g = random_tensor(DType::f32, {2, 3, 7, 3}, 2);
    std::vector<Ex> in{constant(place, x)}, grad{constant(place, g)};
    Attrs attrs = complete({op->attrs.begin(), op->attrs.end()}, target(7, 3));
    std::vector<Ex> out = emit_all(*op, in, attrs);
    Ex back = op->gradient({in, out, grad, attrs})[0];
    std::map<ValueId, Tensor> values;
    run_reference(graph, graph.body, values);
    auto dot = [](const Tensor& a, const Tensor& b) {
      std::vector<double> p = to_doubles(a), q = to_doubles(b);
      return std::inner_product(p.begin(), p.end(), q.begin(), 0.0);
    };
    CHECK(values.at(back.id()).shape() == x.shape());
    CHECK(dot(values.at(out[0].id()), g) == doctest::Approx(dot(x, values.at(back.id()))).epsilon(1e-5));
  }
}

TEST_CASE("factors are those of single precision") {
  Graph graph;
  ValueId x = graph.add_input(Type(DType::f32, {1, unknown, 3}), "x");
  double factor = static_cast<double>(static_cast<float>(5.0 / 3));
  Node node = graph.add_node(graph.body, ops::upsample_nearest_neighbor, {x},
                             attrs_of({{"scale_factor_width", factor}}));
  CHECK(graph.type(node.outputs[0]).shape == Shape{1, unknown, 5});
}

TEST_CASE("a box outside the image gives the pad value, or the edge") {
  std::vector<double> image(16);
  for (std::size_t i = 0; i < 16; ++i) image[i] = static_cast<double>(i + 1);
  Tensor x = from_doubles(image, DType::f32, {1, 1, 4, 4});
  Tensor box = from_doubles(std::vector<double>{0.1, 0.3, 1.3, 1}, DType::f32, {1, 4});
  Attrs attrs = attrs_of({{"target_height", std::int64_t{2}},
                          {"target_width", std::int64_t{2}},
                          {"normalized_coordinates", true},
                          {"sampling_mode", std::string("ALIGN_CORNERS")},
                          {"pad_value", -1.0}});
  std::vector<double> padded = one(ops::crop_resize, attrs, {x, box});
  CHECK(padded[0] == doctest::Approx(3.1));
  CHECK(padded[1] == doctest::Approx(5.2));
  CHECK(padded[2] == -1);
  attrs.erase("pad_value");
  CHECK(one(ops::crop_resize, attrs, {x, box})[3] == 16);
  Tensor nowhere = from_integers(std::vector<std::int64_t>{3}, DType::i32, {1});
  CHECK_THROWS_WITH(one(ops::crop_resize, attrs, {x, box, nowhere}), doctest::Contains("image 3"));
}

TEST_CASE("suppression keeps the best box when no score reaches the threshold") {
  Tensor boxes = from_doubles(std::vector<double>{0, 0, 2, 2, 0, 0, 2, 2}, DType::f32, {1, 2, 4});
  Tensor scores = from_doubles(std::vector<double>{0.1, 0.2}, DType::f32, {1, 2, 1});
  Attrs attrs = attrs_of({{"iou_threshold", 0.5},
                          {"score_threshold", 0.9},
                          {"max_boxes", std::int64_t{3}},
                          {"boxes_last", false}});
  CHECK(one(ops::non_maximum_suppression, attrs, {boxes, scores}, 2) == std::vector<double>{1, -1, -1});
  CHECK(one(ops::non_maximum_suppression, attrs, {boxes, scores}, 3) == std::vector<double>{1});
}

}  // namespace tl
