// SPDX-License-Identifier: Apache-2.0
// A batch gives what its rows give one by one, whichever thread had them.
#include <doctest/doctest.h>

#include <cstring>

#include "base/error.h"
#include "cli/random_input.h"
#include "model/model.h"

using namespace tl;

namespace {

struct Digits {
  Runtime runtime;
  std::shared_ptr<Model> model;
  std::vector<Features> rows = {};

  static Settings with(int threads) {
    Settings settings;
    settings.threads = threads;
    return settings;
  }
  explicit Digits(int threads)
      : runtime(with(threads)), model(Model::load("examples/digits/digits.mlpackage", runtime)) {
    for (std::uint64_t seed = 0; seed < 12; ++seed)
      rows.push_back(cli::random_inputs(model->function().interface, seed));
  }
};

bool same(const Features& a, const Features& b) {
  if (a.size() != b.size()) return false;
  for (std::size_t k = 0; k < a.size(); ++k) {
    const auto *x = std::get_if<Tensor>(&a[k].second), *y = std::get_if<Tensor>(&b[k].second);
    if (a[k].first != b[k].first || (x == nullptr) != (y == nullptr)) return false;
    if (x && std::memcmp(x->data(), y->data(), x->bytes()) != 0) return false;
  }
  return true;
}

}  // namespace

TEST_CASE("a batch gives what its rows give") {
  for (int threads : {1, 3}) {
    Digits digits(threads);
    std::vector<Features> all = digits.model->predict_each(digits.rows);
    REQUIRE_EQ(all.size(), digits.rows.size());
    for (std::size_t k = 0; k < all.size(); ++k) CHECK(same(all[k], digits.model->predict(digits.rows[k])));
    CHECK(digits.model->predict_each({}).empty());
  }
}

TEST_CASE("the first bad row of a batch is named") {
  Digits digits(3);
  digits.rows[5].clear(), digits.rows[9].clear();
  try {
    digits.model->predict_each(digits.rows);
    FAIL("no error");
  } catch (const Error& error) { CHECK_EQ(std::string(error.what()).substr(0, 6), "row 5:"); }
}
