// SPDX-License-Identifier: Apache-2.0
// The reports of a pipeline's parts as one. Each part is a program of its own: its floor is paid anew.
#include <algorithm>

#include "base/text.h"
#include "explain/report.h"

namespace tl::explain {
namespace {

void add(Figure& sum, const Figure& part) {
  sum.ms += part.ms, sum.low += part.low, sum.high += part.high, sum.mj += part.mj;
}

void append(Report& all, const Report& part) {
  std::size_t rows = all.rows.size();
  int segments = static_cast<int>(all.segments.size());
  for (Row row : part.rows) {
    row.name = text("{}/{}", part.name, row.name);
    for (std::size_t& input : row.inputs) input += rows;
    if (row.segment >= 0) row.segment += segments;
    all.rows.push_back(std::move(row));
  }
  all.segments.insert(all.segments.end(), part.segments.begin(), part.segments.end());
  for (Advice advice : part.advice) {
    advice.title = text("{}: {}", part.name, advice.title);
    advice.command.clear();  // a part is converted before it joins the pipeline
    all.advice.push_back(std::move(advice));
  }
  add(all.as_is, part.as_is), add(all.engine, part.engine), add(all.gpu, part.gpu), add(all.cpu, part.cpu);
  all.macs += part.macs, all.weight_bytes += part.weight_bytes;
  all.peak_bytes = std::max(all.peak_bytes, part.peak_bytes);  // parts run one after another
}

}  // namespace

Report combined(const ModelFile& pipeline, const Chip& chip, std::vector<Report> parts) {
  Report all;
  all.model = pipeline.path, all.type = pipeline.type;
  all.chip = &chip;
  for (const Report& part : parts) append(all, part);
  std::stable_sort(all.advice.begin(), all.advice.end(),
                   [](const Advice& a, const Advice& b) { return a.gain_ms > b.gain_ms + 1e-9; });
  all.parts = std::move(parts);
  return all;
}

}  // namespace tl::explain
