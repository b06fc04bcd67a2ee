// SPDX-License-Identifier: Apache-2.0
// What `tl explain` says, as data: where each operation would run, what it would cost, what to change.
#pragma once
#include "explain/chip.h"
#include "explain/work.h"
#include "ir/model_file.h"

namespace tl::explain {

enum class Device : std::uint8_t {
  engine,
  gpu,
  cpu,
  none
};  // none: done when the model is compiled, or at its edge
std::string_view name_of(Device);

struct Row {  // one operation
  std::string name = {}, op = {}, shape = {};
  Work work = {};
  Device device = Device::none;
  std::vector<const AneRule*> rules = {};  // those that hold, what makes it leave first
  double ms = 0;
  int segment = -1;
  std::vector<std::size_t> inputs = {};  // the rows that it reads
};

struct Segment {  // operations in a row on one device
  Device device = Device::engine;
  std::size_t operations = 0;
  double ms = 0, switch_ms = 0;
};

struct Figure {  // an estimate; low and high hold the model's error
  double ms = 0, low = 0, high = 0, mj = 0;
  double watts() const { return ms > 0 ? mj / ms : 0; }
};

struct Advice {
  std::string title = {}, why = {}, source = {}, python = {}, command = {};
  Mark mark = Mark::inferred;
  std::vector<std::string> operations = {};
  double gain_ms = 0;  // that this alone would bring
};

struct Report {
  const Chip* chip = nullptr;
  std::string model = {}, function = {}, type = {};
  std::string name = {};  // as a part of a pipeline
  std::vector<Row> rows = {};
  std::vector<Segment> segments = {};
  std::vector<Advice> advice = {};                     // most gain first
  Figure as_is = {}, engine = {}, gpu = {}, cpu = {};  // engine: if every operation ran there
  double macs = 0, weight_bytes = 0, peak_bytes = 0;
  std::vector<Report> parts = {};  // of a pipeline, whose other fields say what the parts make together
  std::size_t on(Device device) const;
  double share(Device device) const;  // of the multiply-adds
};

// Throws Error where the function has no graph.
Report make_report(const ModelFile&, const Function&, const Chip&);

// What models that run one after another make together: rows and segments in order, times added.
Report combined(const ModelFile& pipeline, const Chip&, std::vector<Report> parts);

std::string text_of(const Report&);  // for a terminal
std::string json_of(const Report&);
std::string html_of(const Report&);  // one page that needs nothing else

}  // namespace tl::explain
