// SPDX-License-Identifier: Apache-2.0
// Rows that say whether they are measured, estimated or quoted.
#include "cli/bench_table.h"

#include "base/error.h"
#include "base/text.h"
#include "model/explain.h"

namespace tl::cli {
namespace {

constexpr const char* form = "  {:<24}  {:>9}  {:>18}  {:>21}  {:>13}  {}\n";

struct Quoted {  // what guides to the Neural Engine repeat of ResNet-50 at 224 x 224 on an M1
  std::string_view device = {};
  double ms = 0, watts = 0;
};
constexpr Quoted guide[] = {{"Neural Engine", 3, 0.5}, {"Metal GPU", 8, 5}, {"CPU", 50, 2}};

std::string ms_text(double ms) { return ms < 10 ? text("{:.2f} ms", ms) : text("{:.0f} ms", ms); }

std::string per_joule(double mj) { return mj > 0 ? text("{:.3g} /J", 1000 / mj) : "-"; }

std::string estimated(const std::string& device, const explain::Figure& f) {
  return text(form, device, ms_text(f.ms), text("{} – {}", ms_text(f.low), ms_text(f.high)),
              text("{:.2g} W", f.watts()), per_joule(f.mj), "estimated");
}

}  // namespace

std::string device_table(const std::string& model, const std::string& function, const std::string& chip,
                         const Here& here) {
  std::string page = text(form, "device", "latency", "range", "power", "efficiency", "");
  std::string power =
      here.joules ? text("{:.3g} W", *here.joules / here.median_ms * 1000) : "not measurable here";
  page += text(form, here.device, ms_text(here.median_ms),
               text("{} – {}", ms_text(here.low_ms), ms_text(here.high_ms)), power,
               here.joules ? per_joule(1000 * *here.joules) : "-", "measured");
  explain::Report report = explain_model(read_model(model), chip, function);
  std::string name(report.chip->name);
  const explain::Figure figures[] = {report.as_is, report.gpu, report.cpu};
  for (std::size_t i = 0; i < std::size(guide); ++i) {
    const Quoted& q = guide[i];
    page += estimated(text("{} ({})", q.device, name), figures[i]);
    page += text(form, text("{} (M1)", q.device), ms_text(q.ms), "", text("{:.2g} W", q.watts),
                 per_joule(q.ms * q.watts), "quoted, of ResNet-50");
  }
  page += text(
      "\nNeural Engine: nine of ten published latencies lie within the range; 'tl explain' says what does "
      "not run "
      "there.\nGPU and CPU of Apple: rates that fit the quoted figures, within a factor of 2. Power is "
      "within a "
      "factor of 3,\nand sources disagree: published energies of the Neural Engine (0.7 to 1.9 pJ an "
      "operation) give "
      "several watts where\nthe quoted guide says 0.5 W. Efficiency is predictions a joule. Sources: "
      "doc/neural_engine.md\n");
  return page;
}

}  // namespace tl::cli
