// SPDX-License-Identifier: Apache-2.0
// The kernel of tree ensembles against the reference: random trees with every comparison, missing values, one
// output and several, deep and shallow, in both element types and on numbers of rows that do not divide.
#include <doctest/doctest.h>

#include "op/kernel_test.h"
#include "op/ops.h"
#include "op/tree.h"

namespace tl {
namespace {

struct Shapes {
  int depth = 4, trees = 5, outputs = 1, entries = 1;
  bool plain = false;  // <= only, NaN goes the way of false
  std::int64_t rows = 100;
};

constexpr Dim features = 6;

class Grower {
 public:
  Grower(const Shapes& s, unsigned seed) : s_(s), random_(seed) {
    for (int t = 0; t < s.trees; ++t) root_.push_back(grow(0));
    std::int64_t at = 0;
    for (std::size_t i = 0; i < behavior_.size(); ++i) {
      first_.push_back(at);
      for (int e = 0; behavior_[i] == trees::leaf && e < s.entries; ++e, ++at) {
        index_.push_back(pick(s.outputs));
        value_.push_back(pick(100) / 8.0);
      }
    }
    first_.push_back(at);
  }

  std::vector<Tensor> tensors(const Tensor& x) const {
    std::vector<double> base(static_cast<std::size_t>(s_.outputs), 0.5);
    return {x,          whole(root_),    whole(feature_), real(threshold_), whole(behavior_), whole(yes_),
            whole(no_), whole(missing_), whole(first_),   whole(index_),    real(value_),     real(base)};
  }

 private:
  std::int64_t pick(int n) { return static_cast<std::int64_t>(random_() % static_cast<unsigned>(n)); }
  static Tensor whole(const std::vector<std::int64_t>& v) {
    return from_integers(v, DType::i32, {static_cast<Dim>(v.size())});
  }
  static Tensor real(const std::vector<double>& v) {
    return from_doubles(v, DType::f64, {static_cast<Dim>(v.size())});
  }

  // Thresholds are those that rows often equal.
  std::int64_t grow(int level) {
    std::size_t i = behavior_.size();
    bool leaf = level >= s_.depth || pick(6) == 0;
    behavior_.push_back(leaf ? int{trees::leaf} : s_.plain ? 0 : pick(6));
    feature_.push_back(pick(features));
    threshold_.push_back(pick(9) / 4.0 - 1);
    missing_.push_back(s_.plain ? 0 : pick(2));
    yes_.push_back(0), no_.push_back(0);
    if (!leaf) {
      std::int64_t yes = grow(level + 1), no = grow(level + 1);
      yes_[i] = yes, no_[i] = no;
    }
    return static_cast<std::int64_t>(i);
  }

  Shapes s_;
  std::mt19937 random_;
  std::vector<std::int64_t> root_, feature_, behavior_, yes_, no_, missing_, first_, index_;
  std::vector<double> threshold_, value_;
};

Tensor rows_of(DType dtype, std::int64_t rows, bool odd) {
  std::mt19937 random(3);
  std::vector<double> values(static_cast<std::size_t>(rows * features));
  for (double& v : values) {
    auto k = static_cast<int>(random() % 16);
    v = k < 9 ? k / 4.0 - 1 : static_cast<double>(random() % 1000) / 400 - 1;
    if (odd && k == 15) v = std::numeric_limits<double>::quiet_NaN();
    if (odd && k == 14) v = -std::numeric_limits<double>::infinity();
  }
  return from_doubles(values, dtype, {rows, features});
}

void check(const Shapes& s, DType dtype, bool odd) {
  ThreadPool pool(2);
  std::vector<Tensor> in = Grower(s, 11).tensors(rows_of(dtype, s.rows, odd));
  std::vector<bool> known(in.size(), true);
  known[0] = false;
  std::vector<Tensor> got =
      run_kernel_outputs({ops::tree_ensemble, {}, in, known}, kernels::tree(best_isa()), {best_isa(), &pool});
  REQUIRE(got.size() == 1);
  Tensor want = run_reference(ops::tree_ensemble, {}, in)[0];
  CHECK(same(got[0], want));
}

}  // namespace

TEST_CASE("trees are walked as the reference walks them") {
  for (DType dtype : {DType::f32, DType::f64})
    for (bool odd : {false, true})
      for (bool plain : {false, true}) {
        for (std::int64_t rows : {1, 7, 8, 9, 5000}) check({4, 5, 1, 1, plain, rows}, dtype, odd);
        check({4, 5, 3, 3, plain}, dtype, odd);
        check({4, 5, 2, 1, plain}, dtype, odd);
        check({12, 3, 1, 1, plain}, dtype, odd);
        check({0, 3, 1, 1, plain}, dtype, odd);
      }
}

TEST_CASE("what is no tree is refused with a sentence") {
  auto run = [](std::vector<double> yes, std::vector<double> first) {
    auto column = [](std::vector<double> v, DType d = DType::i32) {
      return from_doubles(v, d, {static_cast<Dim>(v.size())});
    };
    Tensor x = from_doubles(std::vector<double>{0, 0}, DType::f32, {1, 2});
    std::vector<Tensor> in{x,
                           column({0}),
                           column({0, 0}),
                           column({1, 0}, DType::f64),
                           column({0, 0}),
                           column(yes),
                           column({1, 1}),
                           column({0, 0}),
                           column(first),
                           column({0}),
                           column({1}, DType::f64),
                           column({0}, DType::f64)};
    run_reference(ops::tree_ensemble, {}, in);
  };
  CHECK_THROWS_WITH(run({1, 0}, {0, 0, 1}), "a tree leads back to a node of its own");
  CHECK_THROWS_WITH(run({7, 0}, {0, 0, 1}), "there is no node 7");
  CHECK_THROWS_WITH(run({1, 0}, {0, 1}), "first must have one element more than there are nodes");
}

}  // namespace tl
