// SPDX-License-Identifier: Apache-2.0
// `tl bench`: how long a model takes, on inputs made from the seed.
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <map>

#include "base/error.h"
#include "base/text.h"
#include "cli/bench_table.h"
#include "cli/command.h"
#include "cli/power.h"
#include "cli/random_input.h"
#include "cli/script.h"
#include "format/data/json.h"
#include "model/model.h"

namespace tl::cli {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::size_t slowest_shown = 10, most_runs = 10'000'000;

struct Options {
  std::string model = {}, function = {}, chip = "M1";
  double seconds = 3;
  int warmup = 3, batch = 1;
  bool json = false, csv = false, profile = false, table = false, cache = false;
};

double milliseconds_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

struct Measured {
  double load_ms = 0, first_ms = 0;
  std::vector<double> runs = {};  // milliseconds, sorted
  double peak_mb = 0;
  std::optional<double> joules = {};            // of a run
  std::vector<plan::StepProfile> profile = {};  // seconds of one run
  double quantile(double q) const {
    auto at = static_cast<std::size_t>(q * static_cast<double>(runs.size() - 1) + 0.5);
    return runs[std::min(at, runs.size() - 1)];
  }
};

// Of this program alone: on Linux ru_maxrss begins with what the process held before it became this program.
double peak_megabytes() {
  if (std::FILE* status = std::fopen("/proc/self/status", "re")) {
    char line[128];
    long kib = 0;
    while (std::fgets(line, sizeof line, status) && std::sscanf(line, "VmHWM: %ld kB", &kib) != 1) {}
    std::fclose(status);
    if (kib > 0) return static_cast<double>(kib) / 1024;
  }
  struct rusage usage {};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024;
}

// A model whose first dimension may be N runs N at once; any other is called N times.
bool takes_batch(const Interface& interface, int batch) {
  return std::all_of(interface.inputs.begin(), interface.inputs.end(), [&](const Feature& f) {
    if (f.kind != FeatureKind::tensor || f.ranges.empty() || f.ranges.size() != f.shape.size()) return false;
    return f.ranges[0].lowest <= batch && (f.ranges[0].highest < 0 || f.ranges[0].highest >= batch);
  });
}

void measure_profile(const Model& model, const Features& inputs, PredictOptions call, std::size_t runs,
                     Measured& measured) {
  call.profile = &measured.profile;
  for (std::size_t i = 0; i < runs; ++i) model.predict(inputs, call);
  for (plan::StepProfile& step : measured.profile) step.seconds /= static_cast<double>(runs);
}

Measured measure(const Options& options, const Runtime& runtime, int& batch_calls) {
  Measured measured;
  Clock::time_point start = Clock::now();
  std::shared_ptr<Model> model = Model::load(options.model, runtime);
  Interface interface = model->function(options.function).interface;
  model->check_runs(options.function);
  if (options.batch > 1 && takes_batch(interface, options.batch)) {
    for (Feature& feature : interface.inputs) feature.shape[0] = options.batch;
    batch_calls = 1;
  } else batch_calls = options.batch;
  Features inputs = random_inputs(interface, runtime.settings().seed);
  PredictOptions call;
  call.function = options.function;
  State state = model->make_state(options.function);
  call.state = &state;
  model->prepare(inputs, call);
  measured.load_ms = milliseconds_since(start);
  auto run_once = [&] {
    Clock::time_point begun = Clock::now();
    for (int i = 0; i < batch_calls; ++i) model->predict(inputs, call);
    return milliseconds_since(begun);
  };
  measured.first_ms = run_once();
  for (int i = 1; i < options.warmup; ++i) run_once();
  Clock::time_point begun = Clock::now();
  PowerMeter meter;
  do measured.runs.push_back(run_once());
  while (milliseconds_since(begun) < 1000 * options.seconds && measured.runs.size() < most_runs);
  if (std::optional<double> all = meter.joules())
    measured.joules = *all / static_cast<double>(measured.runs.size());
  measured.peak_mb = peak_megabytes();
  if (options.profile)
    measure_profile(*model, inputs, call, std::clamp<std::size_t>(measured.runs.size() / 4, 1, 50), measured);
  std::sort(measured.runs.begin(), measured.runs.end());
  return measured;
}

struct Field {
  std::string name = {}, value = {};
  bool quoted = false;
};

std::vector<Field> fields_of(const Options& options, const Measured& m, const Runtime& runtime) {
  auto number = [](double x) { return text("{:.4f}", x); };
  return {{"load_ms", number(m.load_ms)},
          {"first_ms", number(m.first_ms)},
          {"min_ms", number(m.runs.front())},
          {"median_ms", number(m.quantile(0.5))},
          {"p90_ms", number(m.quantile(0.9))},
          {"p99_ms", number(m.quantile(0.99))},
          {"runs", text("{}", m.runs.size())},
          {"batch", text("{}", options.batch)},
          {"per_second", number(1000 * options.batch / m.quantile(0.5))},
          {"peak_mb", text("{:.1f}", m.peak_mb)},
          {"device", "cpu", true},
          {"precision", runtime.settings().precision, true},
          {"threads", text("{}", runtime.machine().pool->threads())},
          {"isa", std::string(name_of(runtime.machine().isa)), true}};
}

std::string json_of(std::span<const Field> fields, std::span<const plan::StepProfile> profile) {
  std::string out = "{";
  for (const Field& field : fields)
    out += text("{}\"{}\": {}", out.size() > 1 ? ", " : "", field.name,
                field.quoted ? data::quoted(field.value) : field.value);
  if (profile.empty()) return out + "}\n";
  out += ", \"profile\": [";
  for (std::size_t i = 0; i < profile.size(); ++i) {
    const plan::StepProfile& p = profile[i];
    out += text(
        "{}\n  {{\"name\": {}, \"op\": {}, \"kernel\": {}, \"ms\": {:.6f}, \"flops\": {:.0f}, \"bytes\": "
        "{:.0f}}}",
        i ? "," : "", data::quoted(p.name), data::quoted(p.op), data::quoted(p.kernel), 1000 * p.seconds,
        p.flops, p.bytes);
  }
  return out + "]}\n";
}

std::string csv_of(std::span<const Field> fields, const std::string& model) {
  std::string head = "model",
              row = model.find_first_of(",\"\n") == std::string::npos ? model : data::quoted(model);
  for (const Field& field : fields) head += "," + field.name, row += "," + field.value;
  return head + "\n" + row + "\n";
}

std::string devices_of(const Options& options, const Measured& m, const Runtime& runtime) {
  double each = options.batch;
  Here here{text("CPU here, {} thread{}", runtime.machine().pool->threads(),
                 runtime.machine().pool->threads() == 1 ? "" : "s"),
            m.quantile(0.5) / each, m.runs.front() / each, m.quantile(0.9) / each, m.joules};
  if (here.joules) *here.joules /= each;
  return device_table(options.model, options.function, options.chip, here);
}

std::string table_of(const Options& options, const Measured& m, const Runtime& runtime) {
  std::string page =
      text("{}  cpu, {} thread{}, {}, precision {}\n", printable(options.model, 1000),
           runtime.machine().pool->threads(), runtime.machine().pool->threads() == 1 ? "" : "s",
           name_of(runtime.machine().isa), runtime.settings().precision);
  page += text("  latency     median {:.3f} ms, min {:.3f}, p90 {:.3f}, p99 {:.3f}  ({} runs)\n",
               m.quantile(0.5), m.runs.front(), m.quantile(0.9), m.quantile(0.99), m.runs.size());
  page += text("  throughput  {:.1f} predictions a second{}\n", 1000 * options.batch / m.quantile(0.5),
               options.batch > 1 ? text(", {} at a time", options.batch) : "");
  page += text("  start       open and plan {:.1f} ms, first run {:.3f} ms\n", m.load_ms, m.first_ms);
  return page + text("  memory      peak {:.1f} MB\n", m.peak_mb);
}

constexpr const char* profile_form = "  {:<32}  {:<20}  {:>5}  {:>10}  {:>6}  {:>9}\n";

std::string profile_row(std::string_view name, std::string_view kernel, std::size_t count,
                        const plan::StepProfile& sum, double total) {
  std::string rate = sum.flops > 0 && sum.seconds > 0 ? text("{:.1f}", sum.flops / sum.seconds * 1e-9) : "";
  return text(profile_form, printable(name, 32), printable(kernel, 20), count ? text("{}", count) : "",
              text("{:.4f}", 1000 * sum.seconds), text("{:.1f} %", total > 0 ? 100 * sum.seconds / total : 0),
              rate);
}

std::string profile_table(std::vector<plan::StepProfile> steps) {
  std::map<std::pair<std::string, std::string>, std::pair<std::size_t, plan::StepProfile>> groups;
  double total = 0;
  for (const plan::StepProfile& step : steps) {
    auto& [count, sum] = groups[{step.op, step.kernel}];
    ++count;
    sum.op = step.op, sum.kernel = step.kernel;
    sum.seconds += step.seconds, sum.flops += step.flops, sum.bytes += step.bytes;
    total += step.seconds;
  }
  std::vector<std::pair<std::size_t, plan::StepProfile>> sums;
  for (auto& [key, group] : groups) sums.push_back(std::move(group));
  auto slower = [](const plan::StepProfile& a, const plan::StepProfile& b) { return a.seconds > b.seconds; };
  std::sort(sums.begin(), sums.end(),
            [&](const auto& a, const auto& b) { return slower(a.second, b.second); });
  std::sort(steps.begin(), steps.end(), slower);
  std::string page = "\n" + text(profile_form, "operation", "kernel", "count", "ms", "share", "GFLOP/s");
  for (const auto& [count, sum] : sums) page += profile_row(sum.op, sum.kernel, count, sum, total);
  page += "\n" + text(profile_form, "slowest steps", "kernel", "", "ms", "share", "GFLOP/s");
  for (std::size_t i = 0; i < std::min(steps.size(), slowest_shown); ++i)
    page +=
        profile_row(steps[i].name.empty() ? steps[i].op : steps[i].name, steps[i].kernel, 0, steps[i], total);
  return page;
}

// ---- bench blocks of a program

struct BlockTime {
  std::string name = {};
  std::vector<double> seconds = {};  // sorted
  double milliseconds(double q) const {
    return 1000 * seconds[static_cast<std::size_t>(q * static_cast<double>(seconds.size() - 1) + 0.5)];
  }
};

std::string page_of(const Options& options, std::span<const BlockTime> blocks) {
  std::string page;
  if (options.csv) page = "bench,runs,min_ms,median_ms,p90_ms,p99_ms\n";
  if (!options.csv && !options.json)
    page = text("{:<32} {:>10} {:>12} {:>12} {:>12}\n", "bench", "runs", "min ms", "median ms", "p90 ms");
  for (const BlockTime& b : blocks) {
    const double lowest = b.milliseconds(0), median = b.milliseconds(0.5);
    const double p90 = b.milliseconds(0.9), p99 = b.milliseconds(0.99);
    if (options.json)
      page += text(
          "{}{{\"bench\": {}, \"runs\": {}, \"min_ms\": {:.6f}, \"median_ms\": {:.6f}, \"p90_ms\": "
          "{:.6f}, \"p99_ms\": {:.6f}}}",
          page.empty() ? "" : ",\n ", data::quoted(b.name), b.seconds.size(), lowest, median, p90, p99);
    else if (options.csv)
      page += text("{},{},{:.6f},{:.6f},{:.6f},{:.6f}\n", b.name, b.seconds.size(), lowest, median, p90, p99);
    else
      page += text("{:<32} {:>10} {:>12.4f} {:>12.4f} {:>12.4f}\n", b.name, b.seconds.size(), lowest, median,
                   p90);
  }
  return options.json ? "[" + page + "]\n" : page;
}

int bench_blocks(const Options& options, Global& global) {
  catch_interrupt();
  Script script(global, {});
  lang::Repeat repeat{options.warmup, options.seconds};
  auto results = with_report(
      [&] { return script.interpreter().test_file(options.model, lang::BlockRole::bench, repeat); });
  if (results.empty())
    throw Error(Code::bad_input, text("{}: has no bench block: write `bench name {{ … }}`", options.model));
  std::vector<BlockTime> blocks;
  std::string failures;
  for (lang::TestResult& result : results) {
    std::sort(result.seconds.begin(), result.seconds.end());
    if (result.failure.empty()) blocks.push_back({result.name, std::move(result.seconds)});
    else failures += text("tl: {}\n", result.failure);
  }
  std::fputs(page_of(options, blocks).c_str(), stdout);
  std::fflush(stdout);
  std::fputs(failures.c_str(), stderr);
  return !failures.empty();
}

int bench(const Options& options, Global& global) {
  if (options.model.ends_with(".tl")) return bench_blocks(options, global);
  global.no_cache = global.no_cache || !options.cache;
  std::unique_ptr<Runtime> runtime = global.runtime();
  int calls = 1;
  Measured measured = measure(options, *runtime, calls);
  if (calls > 1)
    global.notice(
        text("the model has no batch dimension: each run is {} predictions one after the other", calls));
  std::vector<Field> fields = fields_of(options, measured, *runtime);
  std::string page = options.json    ? json_of(fields, measured.profile)
                     : options.csv   ? csv_of(fields, options.model)
                     : options.table ? devices_of(options, measured, *runtime)
                                     : table_of(options, measured, *runtime) +
                                           (options.profile ? profile_table(measured.profile) : "");
  std::fputs(page.c_str(), stdout);
  return 0;
}

}  // namespace

Command bench_command() {
  auto o = std::make_shared<Options>();
  Command command;
  command.about =
      "Times a model on inputs made from --seed: floats uniform in [0, 1), integers 0 or 1. A program (.tl): "
      "its "
      "bench blocks, each for --seconds.";
  command.example =
      "  tl bench model.mlpackage --seconds 5 --profile\n  tl bench model.mlpackage --json --threads 1\n"
      "  tl bench layers.tl\n";
  command.options = {
      argument("MODEL", &o->model),
      within(0, 86400, {"--seconds", "S", "how long to measure (default 3)", &o->seconds}),
      within(0, 1e6, {"--warmup", "N", "runs before that (default 3)", &o->warmup}),
      within(1, 1e6, {"--batch", "N", "predictions a run (default 1)", &o->batch}),
      {"--function", "NAME", "the function of a model that has several", &o->function},
      {"--profile", "", "time, share and rate of each operation", &o->profile},
      {"--table", "", "a row per device: measured here, estimated for an Apple chip", &o->table},
      {"--chip", "NAME", "the chip of --table (default M1)", &o->chip},
      {"--cache", "", "start from the plan cache, as other commands do", &o->cache},
      {"--json", "", "one object", &o->json},
      {"--csv", "", "a header and a row", &o->csv},
  };
  command.run = [o](Global& global) { return bench(*o, global); };
  return command;
}

}  // namespace tl::cli
