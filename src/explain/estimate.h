// SPDX-License-Identifier: Apache-2.0
// Placement and cost of a graph on a chip, also of one that is changed in thought. Steps 4 and 5 of a report.
#pragma once
#include <set>

#include "explain/report.h"

namespace tl::explain {

struct Change {                          // what advice would alter
  bool half = false;                     // everything in fp16
  std::set<const AneRule*> lifted = {};  // rules that no longer hold
  int weight_bits = 0;                   // of every weight; 0: as stored
  bool eight_bit = false;                // 8-bit weights and activations
  double batch = 1;                      // every element count divided by it
};

struct Scene {  // a graph and all that is known of its nodes on a chip
  const Chip* chip = nullptr;
  bool half = false;  // the format computes in fp16 whatever its types say
  std::vector<Row> rows = {};
};

// Where a row runs, given the rules that hold.
Device place(const Row&, const Scene&, const Change&);

struct Estimate {
  std::vector<Device> devices = {};
  std::vector<double> ms = {};
  std::vector<Segment> segments = {};
  std::vector<int> segment_of = {};
  double total = 0, mj = 0;
};
Estimate estimate(const Scene&, const Change& = {});
Estimate estimate_on(const Scene&, Device, const Change& = {});  // everything there

Figure figure_of(const Estimate&, double error = cost::error_most);

}  // namespace tl::explain
