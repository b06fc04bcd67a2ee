// SPDX-License-Identifier: Apache-2.0
// What a node asks of a machine: arithmetic, weights, bytes. Step 2 of a report.
#pragma once
#include "ir/graph.h"

namespace tl::explain {

enum class WorkKind : std::uint8_t { conv, pointwise, depthwise, product, move, none };
std::string_view name_of(WorkKind);

struct Work {
  WorkKind kind = WorkKind::move;
  double macs = 0;          // multiply-adds
  double elements = 0;      // written
  double weights = 0;       // elements of constants
  double weight_bytes = 0;  // as stored
  double read_bytes = 0;    // of computed inputs
  bool fused = false;       // the node before it does it on the way
};

struct Facts {                             // of a graph whose shapes are known, as far as they are
  std::vector<bool> constant = {};         // per value: known before the model runs, stored or expanded
  std::vector<double> stored_bytes = {};   // per value that is constant
  std::vector<const Node*> producer = {};  // per value; null: an input or stored
  std::vector<int> readers = {};           // per value
};

Facts facts_of(const Graph&);
Work work_of(const Graph&, const Node&, const Facts&);
double elements_of(const Type&);  // 0 where it is not known

}  // namespace tl::explain
