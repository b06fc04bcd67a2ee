// SPDX-License-Identifier: Apache-2.0
// The tables FAMILY_ane.def as one list, each with the operations of its family.
#include "op/ane.h"

#include <algorithm>

#include "op/ops.h"

namespace tl {
namespace {

using enum AneEffect;
using enum Mark;

// The words of the tables.
constexpr AneChips all_chips{};
constexpr AneChips until(int a, int m) { return {0, a, 0, m}; }
constexpr AneChips from(int a, int m) { return {a, 99, m, 99}; }
constexpr AneWhen always{};
constexpr AneWhen over(AneTest test, std::int64_t limit) { return {test, limit}; }
constexpr AneWhen holds(AneTest test, std::string_view word = {}, std::string_view value = {}) {
  return {test, 0, word, value};
}

constexpr std::string_view coremltools = "coremltools documentation";

#define ANE(name, ...) {&ops::name, __VA_ARGS__},
#define ANE_FAMILY(...) {nullptr, __VA_ARGS__},
#define FAMILY(name) constexpr AneRule name##_rules[] = {
FAMILY(every)
#include "op/every_ane.def"
};
FAMILY(elementwise)
#include "op/elementwise_ane.def"
};
FAMILY(reduce)
#include "op/reduce_ane.def"
}
;
FAMILY(norm)
#include "op/norm_ane.def"
}
;
FAMILY(pool)
#include "op/pool_ane.def"
}
;
FAMILY(matmul)
#include "op/matmul_ane.def"
}
;
FAMILY(conv)
#include "op/conv_ane.def"
}
;
FAMILY(shape)
#include "op/shape_ane.def"
}
;
FAMILY(index)
#include "op/index_ane.def"
}
;
FAMILY(tensor)
#include "op/tensor_ane.def"
}
;
FAMILY(control)
#include "op/control_ane.def"
}
;
FAMILY(random)
#include "op/random_ane.def"
}
;
FAMILY(recurrent)
#include "op/recurrent_ane.def"
}
;
FAMILY(resize)
#include "op/resize_ane.def"
}
;
FAMILY(quant)
#include "op/quant_ane.def"
}
;
FAMILY(classic)
#include "op/classic_ane.def"
}
;
#undef FAMILY
#undef ANE
#undef ANE_FAMILY

// ---- which family an operation is of

#define OP(name, ...) &ops::name,
#define TL_UNARY OP
#define TL_BINARY OP
#define TL_TERNARY OP
constexpr const OpDef* elementwise_ops[] = {
#include "op/elementwise.def"
};
constexpr const OpDef* reduce_ops[] = {
#include "op/reduce.def"
};
constexpr const OpDef* norm_ops[] = {
#include "op/norm.def"
};
constexpr const OpDef* pool_ops[] = {
#include "op/pool.def"
};
constexpr const OpDef* matmul_ops[] = {
#include "op/matmul.def"
};
constexpr const OpDef* conv_ops[] = {
#include "op/conv.def"
};
constexpr const OpDef* shape_ops[] = {
#include "op/shape.def"
};
constexpr const OpDef* index_ops[] = {
#include "op/index.def"
};
constexpr const OpDef* tensor_ops[] = {
#include "op/tensor.def"
};
constexpr const OpDef* control_ops[] = {
#include "op/control.def"
};
constexpr const OpDef* random_ops[] = {
#include "op/random.def"
};
constexpr const OpDef* recurrent_ops[] = {
#include "op/recurrent.def"
};
constexpr const OpDef* resize_ops[] = {
#include "op/resize.def"
};
constexpr const OpDef* quant_ops[] = {
#include "op/quant.def"
};
constexpr const OpDef* classic_ops[] = {
#include "op/classic.def"
};
#undef OP

struct Family {
  std::span<const OpDef* const> ops;
  std::span<const AneRule> rules;
};
#define FAMILY(name) {name##_ops, name##_rules},
constexpr Family families[] = {FAMILY(elementwise) FAMILY(reduce) FAMILY(norm) FAMILY(pool) FAMILY(matmul)
                                   FAMILY(conv) FAMILY(shape) FAMILY(index) FAMILY(tensor) FAMILY(control)
                                       FAMILY(random) FAMILY(recurrent) FAMILY(resize) FAMILY(quant)
                                           FAMILY(classic)};
#undef FAMILY

const Family* family_of(const OpDef& op) {
  for (const Family& family : families)
    if (std::find(family.ops.begin(), family.ops.end(), &op) != family.ops.end()) return &family;
  return nullptr;
}

bool on_all_chips(const AneChips& c) {
  return c.a_first == 0 && c.a_last == 99 && c.m_first == 0 && c.m_last == 99;
}

}  // namespace

std::string_view name_of(Mark mark) {
  constexpr std::string_view names[] = {"measured", "derived", "claimed", "inferred"};
  return names[static_cast<std::size_t>(mark)];
}

std::vector<const AneRule*> ane_rules(const OpDef& op) {
  std::vector<const AneRule*> own, of_family;
  const Family* family = family_of(op);
  if (!family) return own;
  for (const AneRule& rule : family->rules) {
    if (rule.op == &op) own.push_back(&rule);
    if (!rule.op) of_family.push_back(&rule);
  }
  bool apart = std::any_of(own.begin(), own.end(), [](const AneRule* r) {
    return r->effect == runs ||
           (r->effect == leaves && r->when.test == AneTest::always && on_all_chips(r->chips));
  });
  if (!apart) own.insert(own.end(), of_family.begin(), of_family.end());
  return own;
}

std::span<const AneRule> ane_rules_of_all() { return every_rules; }

Fit ane_fit(const OpDef& op) {
  std::vector<const AneRule*> rules = ane_rules(op);
  if (rules.empty()) return op.ane.fit;
  bool conditional = false;
  for (const AneRule* rule : rules) {
    if (rule->effect != leaves) continue;
    if (rule->when.test == AneTest::always && on_all_chips(rule->chips)) return Fit::never;
    conditional = true;
  }
  return conditional ? Fit::conditional : Fit::native;
}

std::string_view ane_note(const OpDef& op) {
  std::vector<const AneRule*> rules = ane_rules(op);
  return rules.empty() ? op.ane.note : rules.front()->sentence;
}

std::string_view ane_source(const OpDef& op) {
  std::vector<const AneRule*> rules = ane_rules(op);
  return rules.empty() ? op.ane.source : rules.front()->source;
}

}  // namespace tl
