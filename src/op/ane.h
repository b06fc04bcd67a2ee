// SPDX-License-Identifier: Apache-2.0
// What is publicly known of the Neural Engine and operations: rules as data, a table FAMILY_ane.def beside
// each family's file. OpDef::ane says the usual fit of an operation; a rule says where it differs, and on
// which chips.
#pragma once
#include "ir/op_def.h"

namespace tl {

enum class AneEffect : std::uint8_t {
  runs,    // nothing stands against it: a row that only names its source
  leaves,  // the node runs elsewhere
  slows,   // it runs, but worse than it could
  risks,   // it runs, and may give another result
};

// Where a claim comes from: measured by its author, derived by taking binaries apart, claimed in a document,
// inferred by us from these.
enum class Mark : std::uint8_t { measured, derived, claimed, inferred };
std::string_view name_of(Mark);

// The vocabulary of conditions: a question about types, shapes and attributes of a node.
enum class AneTest : std::uint8_t {
  always,
  rank_over,        // of any tensor it reads or gives
  axis_over,        // the length of one of the last two axes, which are height and width
  channels_over,    // the length of any other axis
  rows_over,        // how many rows a product takes at once: all axes of its first input but the last
  last_axis_is,     // the length of its output's last axis, where that holds more than one element
  batch_over,       // the length of the first axis of rank 3 and more
  channels_ragged,  // the channels of a picture are no multiple of this
  type_is,          // the element type of its first output: `word`
  varies,           // a shape that is only known when it runs
  empty,            // an axis of length 0
  width_over,       // of the kernel, or window: the last spatial length
  height_over,      // the one before it
  spatial_over,     // how many spatial dimensions
  stride_over,      // any stride
  dilation_odd,     // a dilation that is no product of 2s and 3s
  number_over,      // the attribute `word`, any of its numbers
  word_is,          // the attribute `word` has the value `value`
  reduced_over,     // the length of an axis that is reduced
  depth_over,       // the summed length of a product
  input_varies,     // the input named `word` is no constant
  moves_width,      // the last axis goes elsewhere, or its length changes
  slices_width,     // a part of the last axis that does not begin at 0
};

struct AneWhen {
  AneTest test = AneTest::always;
  std::int64_t limit = 0;
  std::string_view word = {}, value = {};
};

struct AneChips {  // generations, both ends counted: A14 is 14 of line A, M1 1 of line M; an empty line
                   // is 99..0
  int a_first = 0, a_last = 99, m_first = 0, m_last = 99;
};

struct AneRule {
  const OpDef* op = nullptr;  // null: of every operation of the family
  AneEffect effect = AneEffect::runs;
  AneWhen when = {};
  AneChips chips = {};
  std::string_view sentence = {};  // begins in lower case: it follows "op: "
  std::string_view source = {};
  Mark mark = Mark::inferred;
  std::string_view remedy = {};  // what to do in Python before converting, where something is known
  bool converts = false;         // `tl convert --for ane` does it
};

// The rules that speak of this operation alone, then those of its family.
std::vector<const AneRule*> ane_rules(const OpDef&);
// Those that hold for every operation.
std::span<const AneRule> ane_rules_of_all();

Fit ane_fit(const OpDef&);  // of the rules and OpDef::ane together
std::string_view ane_note(const OpDef&);
std::string_view ane_source(const OpDef&);  // never empty: a test holds it

}  // namespace tl
