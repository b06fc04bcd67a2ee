// SPDX-License-Identifier: Apache-2.0
// The report as data: what `tl explain --json` prints and m.explain() gives.
#include <nlohmann/json.hpp>

#include "explain/report.h"
#include "format/data/json.h"

namespace tl::explain {
namespace {

using data::Json;

double rounded(double x) { return static_cast<double>(static_cast<std::int64_t>(x * 1e6 + 0.5)) * 1e-6; }

Json figure(const Figure& f) {
  return {{"ms", rounded(f.ms)},
          {"low_ms", rounded(f.low)},
          {"high_ms", rounded(f.high)},
          {"mj", rounded(f.mj)},
          {"watts", rounded(f.watts())}};
}

Json rules(const std::vector<const AneRule*>& all) {
  constexpr std::string_view effects[] = {"runs", "leaves", "slows", "risks"};
  Json out = Json::array();
  for (const AneRule* r : all)
    out.push_back({{"effect", effects[static_cast<std::size_t>(r->effect)]},
                   {"sentence", r->sentence},
                   {"source", r->source},
                   {"mark", name_of(r->mark)}});
  return out;
}

Json row(const Row& r) {
  return {{"name", r.name},
          {"op", r.op},
          {"shape", r.shape},
          {"device", name_of(r.device)},
          {"segment", r.segment},
          {"kind", name_of(r.work.kind)},
          {"macs", r.work.macs},
          {"elements", r.work.elements},
          {"weights", r.work.weights},
          {"weight_bytes", r.work.weight_bytes},
          {"fused", r.work.fused},
          {"ms", rounded(r.ms)},
          {"inputs", r.inputs},
          {"rules", rules(r.rules)}};
}

Json advice(const Advice& a) {
  return {{"title", a.title},           {"why", a.why},           {"gain_ms", rounded(a.gain_ms)},
          {"operations", a.operations}, {"python", a.python},     {"command", a.command},
          {"source", a.source},         {"mark", name_of(a.mark)}};
}

}  // namespace

std::string json_of(const Report& r) {
  Json out = {{"model", r.model},
              {"function", r.function},
              {"type", r.type},
              {"chip", r.chip->name},
              {"chip_source", r.chip->source},
              {"chip_tflops", r.chip->tflops},
              {"chip_stream_gb", rounded(cost::activation * r.chip->tflops)},
              {"macs", r.macs},
              {"weight_bytes", r.weight_bytes},
              {"peak_bytes", r.peak_bytes}};
  out["operations_on"] = {
      {"neural_engine", r.on(Device::engine)}, {"gpu", r.on(Device::gpu)}, {"cpu", r.on(Device::cpu)}};
  out["estimate"] = {{"as_is", figure(r.as_is)},
                     {"neural_engine", figure(r.engine)},
                     {"gpu", figure(r.gpu)},
                     {"cpu", figure(r.cpu)},
                     {"error_half", cost::error_half},
                     {"error_most", cost::error_most},
                     {"error_worst", cost::error_worst}};
  out["segments"] = Json::array();
  for (const Segment& s : r.segments)
    out["segments"].push_back({{"device", name_of(s.device)},
                               {"operations", s.operations},
                               {"ms", rounded(s.ms)},
                               {"switch_ms", rounded(s.switch_ms)}});
  if (!r.parts.empty()) out["parts"] = Json::array();
  for (const Report& part : r.parts)
    out["parts"].push_back({{"name", part.name},
                            {"type", part.type},
                            {"operations", part.rows.size() - part.on(Device::none)},
                            {"neural_engine", part.on(Device::engine)},
                            {"estimate", figure(part.as_is)}});
  out["advice"] = Json::array();
  for (const Advice& a : r.advice) out["advice"].push_back(advice(a));
  out["operations"] = Json::array();
  for (const Row& one : r.rows) out["operations"].push_back(row(one));
  return out.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace tl::explain
