// SPDX-License-Identifier: Apache-2.0
// Norms that were written out, and what only looks like them.
#include "pass/fuse_norm.h"

#include "pass/pass_test.h"

namespace tl {
namespace {

using test::Builder;

const std::vector<std::int64_t> last{-1}, spatial{2, 3};

Ex mean(const Ex& x, const std::vector<std::int64_t>& axes) {
  return emit(ops::reduce_mean, {x}, {{"axes", axes}, {"keep_dims", true}});
}

Ex unit(Builder& b, const Ex& x, const std::vector<std::int64_t>& axes) {
  Ex d = x - mean(x, axes);
  return d * rsqrt(mean(square(d), axes) + b.number(1e-5));
}

}  // namespace

TEST_CASE("layer norms as PyTorch writes them out") {
  for (int form = 0; form < 3; ++form) {
    Builder b;
    Ex x = b.input({2, 5, 8}), d = x - mean(x, last), y;
    if (form == 0) y = d / sqrt(mean(d * d, last) + b.number(1e-5));
    if (form == 1) y = d * rsqrt(mean(pow(d, b.number(2)), last) + b.number(1e-5));
    if (form == 2) y = pow(mean(square(d), last) + b.number(1e-5), b.number(-0.5)) * d;
    b.output(b.weight({8}) * y + b.weight({8}));
    Graph fused = b.graph;
    CHECK(pass::fuse_norms(fused));
    CHECK(test::count(fused, ops::layer_norm) == 1);
    CHECK(fused.body.nodes.size() == 1);
    test::check_same_results(b.graph, fused);
    CHECK_FALSE(pass::fuse_norms(fused));
  }
}

TEST_CASE("over the channels, over pictures, and by the root mean square") {
  Builder b;
  Ex x = b.input({2, 3, 4, 5});
  b.output(unit(b, x, {1}) * b.weight({3, 1, 1}));
  b.output(unit(b, x, spatial) * b.weight({3, 1, 1}) + b.weight({1, 3, 1, 1}));
  b.output(x * rsqrt(mean(square(x), last) + b.number(1e-6)) * b.weight({5}));
  Graph fused = b.graph;
  CHECK(pass::fuse_norms(fused));
  CHECK(test::count(fused, ops::layer_norm) == 1);
  CHECK(test::count(fused, ops::instance_norm) == 1);
  CHECK(test::count(fused, ops::rms_norm) == 1);
  CHECK(fused.body.nodes.size() == 3);
  test::check_same_results(b.graph, fused);
  CHECK(pass::rms_norms_as_layer_norms(fused));
  CHECK(test::count(fused, ops::rms_norm) == 0);
  test::check_same_results(b.graph, fused);
}

TEST_CASE("other axes for mean and variance, no epsilon, a deviation that others read: no norm") {
  Builder b;
  Ex x = b.input({2, 4, 4}), d = x - mean(x, {1});
  b.output(d * rsqrt(mean(square(d), last) + b.number(1e-5)));  // an rms norm of d
  Ex none = x - mean(x, last);
  b.output(none / sqrt(mean(square(none), last)));
  Ex e = sqrt(mean(square(x), last) + b.number(1e-5));
  b.output(x / e), b.output(e);
  Graph fused = b.graph;
  pass::fuse_norms(fused);
  CHECK(test::count(fused, ops::layer_norm) == 0);
  CHECK(test::count(fused, ops::rms_norm) == 1);
  test::check_same_results(b.graph, fused);
}

TEST_CASE("a scale that lies along another axis stays a product") {
  Builder b;
  Ex x = b.input({2, 4, 4});
  b.output(unit(b, x, last) * b.weight({2, 1, 1}));
  Graph fused = b.graph;
  CHECK(pass::fuse_norms(fused));
  CHECK(test::count(fused, ops::layer_norm) == 1);
  CHECK(test::count(fused, ops::mul) == 1);
  test::check_same_results(b.graph, fused);
}

TEST_CASE("a scale and a shift after a norm that has none become its own") {
  Builder b;
  Ex x = b.input({2, 3, 4, 5});
  b.output(emit(ops::layer_norm, {x}, {{"axes", last}}) * b.weight({5}) + b.weight({5}));
  b.output(emit(ops::instance_norm, {x}) * b.weight({3, 1, 1}));
  b.output(emit(ops::layer_norm, {x}, {{"axes", last}}) * b.weight({3, 1, 1}));  // not along its axis
  Graph fused = b.graph;
  CHECK(pass::fuse_norms(fused));
  CHECK(fused.body.nodes.size() == 4);
  CHECK(test::count(fused, ops::instance_norm) == 1);
  test::check_same_results(b.graph, fused);
  CHECK_FALSE(pass::fuse_norms(fused));
}

TEST_CASE("epsilons stay above 0 in fp16") {
  for (DType d : {DType::f16, DType::f32}) {
    Graph g;
    Ex x({&g, &g.body}, g.add_input({d, {2, 4}}, "x"));
    g.add_output(emit(ops::layer_norm, {x}, {{"axes", last}, {"epsilon", 1e-12}}).id(), "y");
    pass::hold_epsilons(g);
    CHECK(g.body.nodes[0].attrs.number("epsilon") == (d == DType::f16 ? 0x1p-24 : 1e-12));
  }
}

}  // namespace tl
