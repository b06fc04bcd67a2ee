// SPDX-License-Identifier: Apache-2.0
// Every operation says how it fits the Neural Engine, and who says so.
#include "op/ane.h"

#include <doctest/doctest.h>

#include <string>

#include "op/ops.h"

namespace tl {

TEST_CASE("every operation has a fit with a source") {
  for (const OpDef* op : all_ops()) {
    CAPTURE(std::string(op->name));
    CHECK_FALSE(ane_source(*op).empty());
  }
}

TEST_CASE("every rule has a sentence and a source, and holds on some chip") {
  auto check = [](const AneRule& rule) {
    CAPTURE(std::string(rule.sentence));
    CHECK_FALSE(rule.sentence.empty());
    CHECK_FALSE(rule.source.empty());
    CHECK((rule.chips.a_first <= rule.chips.a_last || rule.chips.m_first <= rule.chips.m_last));
  };
  for (const AneRule& rule : ane_rules_of_all()) check(rule);
  for (const OpDef* op : all_ops())
    for (const AneRule* rule : ane_rules(*op)) check(*rule);
}

TEST_CASE("fits") {
  CHECK(ane_fit(ops::relu) == Fit::native);
  CHECK(ane_fit(ops::conv) == Fit::conditional);
  CHECK(ane_fit(ops::lstm) == Fit::never);
  CHECK(ane_fit(ops::reduce_prod) == Fit::never);
  CHECK(ane_fit(ops::softmax) == Fit::native);
  CHECK(ane_fit(ops::while_loop) == Fit::never);
}

}  // namespace tl
