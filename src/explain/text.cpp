// SPDX-License-Identifier: Apache-2.0
// The report for a terminal: a page, the most important first.
#include <algorithm>
#include <map>

#include "base/text.h"
#include "explain/report.h"

namespace tl::explain {
namespace {

constexpr std::size_t advice_shown = 6, names_shown = 3, reasons_shown = 8;

std::string ms_text(double ms) { return ms < 10 ? text("{:.2f} ms", ms) : text("{:.0f} ms", ms); }

std::string figure_line(std::string_view name, const Figure& f) {
  return text("  {:<22} {:>9}   {} to {}   {:.3g} mJ   {:.2g} W\n", name, ms_text(f.ms), ms_text(f.low),
              ms_text(f.high), f.mj, f.watts());
}

std::string placement(const Report& r) {
  std::string page = "\nWhere it runs\n";
  for (Device d : {Device::engine, Device::gpu, Device::cpu}) {
    std::size_t n = r.on(d);
    if (n == 0 && d != Device::engine) continue;
    page += text("  {:<14} {:>5} operation{}  {:>5.1f} % of the arithmetic\n", name_of(d), n,
                 n == 1 ? " " : "s", 100 * r.share(d));
  }
  if (r.segments.size() < 2) return page;
  double switches = 0;
  for (const Segment& s : r.segments) switches += s.switch_ms;
  bool one = r.segments.size() == 2;
  return page + text("  {} segments: {} change{} of device cost{} {}\n", r.segments.size(),
                     r.segments.size() - 1, one ? "" : "s", one ? "s" : "", ms_text(switches));
}

// What leaves the engine, by operation and reason.
std::string reasons(const Report& r) {
  std::map<std::pair<std::string, std::string_view>, std::size_t> counts;
  for (const Row& row : r.rows)
    if (row.device != Device::engine && !row.rules.empty()) ++counts[{row.op, row.rules.front()->sentence}];
  if (counts.empty()) return "";
  std::vector<std::pair<std::size_t, std::pair<std::string, std::string_view>>> order;
  for (const auto& [what, n] : counts) order.emplace_back(n, what);
  std::stable_sort(order.begin(), order.end(),
                   [](const auto& a, const auto& b) { return a.first > b.first; });
  std::string page = "\nWhat leaves the Neural Engine\n";
  for (std::size_t i = 0; i < std::min(order.size(), reasons_shown); ++i)
    page += text("  {:>4} x {}: {}\n", order[i].first, order[i].second.first, order[i].second.second);
  if (order.size() > reasons_shown) page += text("  … and {} more kinds\n", order.size() - reasons_shown);
  return page;
}

// Of a pipeline: what each of its models takes.
std::string parts(const Report& r) {
  if (r.parts.empty()) return "";
  std::string page = "\nParts, one after another\n";
  for (const Report& part : r.parts) {
    std::size_t all = part.rows.size() - part.on(Device::none);
    std::string what = all == 0
                           ? "on the CPU, no operations of a network"
                           : text("{} of {} operations on the Neural Engine", part.on(Device::engine), all);
    page += text("  {:<20} {:<26} {:>9}   {}\n", printable(part.name, 20), part.type, ms_text(part.as_is.ms),
                 what);
  }
  return page;
}

std::string names(const std::vector<std::string>& all) {
  std::string line;
  for (std::size_t i = 0; i < std::min(all.size(), names_shown); ++i)
    line += text("{}{}", i ? ", " : "", printable(all[i], 40));
  return all.size() > names_shown ? text("{} … ({} in all)", line, all.size()) : line;
}

std::string advice(const Report& r) {
  if (r.advice.empty()) return "\nAdvice\n  none: it is as the Neural Engine wants it\n";
  std::string page = "\nAdvice, most gain first\n";
  std::size_t shown = std::min(r.advice.size(), advice_shown);
  for (std::size_t i = 0; i < shown; ++i) {
    const Advice& a = r.advice[i];
    std::string gain = a.gain_ms >= 0.005 ? text("saves about {}", ms_text(a.gain_ms)) : "gain not known";
    page += text("  {}. {}  ({})\n     {}\n", i + 1, a.title, gain, a.why);
    if (!a.operations.empty()) page += text("     Where:  {}\n", names(a.operations));
    if (!a.python.empty()) page += text("     Python: {}\n", a.python);
    if (!a.command.empty()) page += text("     Here:   {}\n", a.command);
    page += text("     Source: {} [{}]\n", a.source, name_of(a.mark));
  }
  if (r.advice.size() > shown)
    page += text("  … and {} more: --json and --html list all\n", r.advice.size() - shown);
  return page;
}

}  // namespace

std::string text_of(const Report& r) {
  std::size_t counted = r.rows.size() - r.on(Device::none);
  std::string page =
      text("{}  on {}, by public facts and estimates\n", printable(r.model, 200), r.chip->name);
  page += text("  {} operations, {:.4g} million multiply-adds, {:.3g} MB of weights\n", counted,
               r.macs * 1e-6, r.weight_bytes * 1e-6);
  page += parts(r) + placement(r) + reasons(r);
  page += "\nEstimate                     latency   range                energy    power\n";
  page += figure_line("as it is", r.as_is);
  if (r.engine.ms < 0.98 * r.as_is.ms || r.on(Device::engine) == 0)
    page += figure_line("all on Neural Engine", r.engine);
  page += figure_line("all on GPU", r.gpu) + figure_line("all on CPU", r.cpu);
  page += text("  {:<22} {:.3g} MB, weights included\n", "peak memory", r.peak_bytes * 1e-6);
  page +=
      text("  Nine of ten published latencies lie within the range; energy may be off by a factor of 3.\n");
  return page + advice(r);
}

}  // namespace tl::explain
