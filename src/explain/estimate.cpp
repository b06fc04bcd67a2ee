// SPDX-License-Identifier: Apache-2.0
// Time and energy: a roofline of each operation with the constants of cost.def. doc/neural_engine.md explains
// it.
#include "explain/estimate.h"

#include <algorithm>

namespace tl::explain {
namespace {

// Of the GPU and CPU little is published that can be compared: rates that give the figures of guides for an
// M1, and energies between those published (ResNet-18 and ViT-B/16 on an M2: 6 and 20 pJ per operation on the
// GPU, 0.7 and 1.9 on the Neural Engine; sbryngelson/ane-guide ch 10).
constexpr double gpu_share = 0.40, gpu_launch_ms = 0.010, cpu_tflops_m1 = 0.164, memory_share = 0.6;
constexpr double switch_ms = 0.125;  // 751K final report: per segment and change of device [derived]
constexpr double engine_pj = 1.2, gpu_pj = 10, cpu_pj = 30, floor_watts = 1;
constexpr double small_elements = 65536;

double bytes_of_weights(const Work& w, const Change& change) {
  if (w.macs == 0) return std::min(w.weight_bytes, 2 * w.elements);  // a table is read where it is looked up
  int bits = change.eight_bit ? 8 : change.weight_bits;
  return bits > 0 ? std::min(w.weight_bytes, w.weights * bits / 8) : std::min(w.weight_bytes, w.weights * 2);
}

double engine_ms(const Row& row, const Chip& chip, const Change& change) {
  const Work& w = row.work;
  if (w.fused || w.kind == WorkKind::none) return 0;
  double share = w.kind == WorkKind::conv        ? cost::conv
                 : w.kind == WorkKind::depthwise ? cost::depthwise
                 : w.kind == WorkKind::product   ? cost::product
                                                 : cost::pointwise;
  double rate = chip.tflops / 2 * 1e9 * (change.eight_bit ? cost::eight_bit : 1);  // multiply-adds a ms
  double compute = w.macs / change.batch / (rate * share);
  double bytes = w.elements / change.batch * (change.eight_bit ? 1 : 2);
  return std::max(compute, bytes / (cost::activation * chip.tflops * 1e6));
}

double gpu_ms(const Row& row, const Chip& chip, const Change& change) {
  const Work& w = row.work;
  if (w.fused || w.kind == WorkKind::none) return 0;
  double bytes = (w.elements * 2 + w.read_bytes) / change.batch + bytes_of_weights(w, change);
  return gpu_launch_ms + std::max(2 * w.macs / change.batch / (chip.gpu_tflops * gpu_share * 1e9),
                                  bytes / (chip.memory * memory_share * 1e6));
}

double cpu_ms(const Row& row, const Chip& chip, const Change& change) {
  const Work& w = row.work;
  if (w.fused || w.kind == WorkKind::none) return 0;
  double rate = cpu_tflops_m1 * (chip.line == 'M' ? 1 + 0.15 * (chip.generation - 1) : 1);
  double bytes = (w.elements * 4 + w.read_bytes) / change.batch + bytes_of_weights(w, change);
  return std::max(2 * w.macs / change.batch / (rate * 1e9), bytes / (chip.memory * memory_share / 2 * 1e6));
}

double ms_on(Device device, const Row& row, const Chip& chip, const Change& change) {
  switch (device) {
    case Device::engine: return engine_ms(row, chip, change);
    case Device::gpu: return gpu_ms(row, chip, change);
    case Device::cpu: return cpu_ms(row, chip, change);
    default: return 0;
  }
}

double pj_on(Device device) {
  return device == Device::engine ? engine_pj
         : device == Device::gpu  ? gpu_pj
         : device == Device::cpu  ? cpu_pj
                                  : 0;
}

double floor_of(const Chip& chip) { return chip.floor_ms > 0 ? chip.floor_ms * cost::host : cost::floor; }

void cut_segments(const Scene& scene, Estimate& e) {
  e.segment_of.assign(scene.rows.size(), -1);
  for (std::size_t i = 0; i < scene.rows.size(); ++i) {
    if (e.devices[i] == Device::none) continue;
    if (e.segments.empty() || e.segments.back().device != e.devices[i])
      e.segments.push_back({e.devices[i], 0, 0, e.segments.empty() ? 0 : switch_ms});
    e.segment_of[i] = static_cast<int>(e.segments.size()) - 1;
    ++e.segments.back().operations;
    e.segments.back().ms += e.ms[i];
  }
}

// Weights stream while the engine computes: beyond what stays near the engine, slowly.
double waiting_for_weights(const Scene& scene, const Estimate& e, const Change& change, double computing) {
  double bytes = 0;
  for (std::size_t i = 0; i < scene.rows.size(); ++i)
    if (e.devices[i] == Device::engine) bytes += bytes_of_weights(scene.rows[i].work, change);
  double resident = std::min(bytes, cost::resident_mb * 1e6), beyond = bytes - resident;
  double streaming = resident / (cost::weight * scene.chip->memory * 1e6);
  return std::max(0.0, streaming - computing) + beyond / (cost::slow * scene.chip->memory * 1e6);
}

Estimate counted(const Scene& scene, std::vector<Device> devices, const Change& change) {
  Estimate e{std::move(devices), {}, {}, {}, 0, 0};
  double engine = 0;
  bool any = false;
  for (std::size_t i = 0; i < scene.rows.size(); ++i) {
    const Row& row = scene.rows[i];
    double ms = ms_on(e.devices[i], row, *scene.chip, change);
    e.ms.push_back(ms);
    if (e.devices[i] == Device::engine) engine += ms, any = true;
    e.mj += 2 * row.work.macs / change.batch * pj_on(e.devices[i]) * 1e-9;
  }
  cut_segments(scene, e);
  for (const Segment& s : e.segments) e.total += s.ms + s.switch_ms;
  if (any) {
    e.total += waiting_for_weights(scene, e, change, engine) + floor_of(*scene.chip);
    e.mj += floor_watts * floor_of(*scene.chip);
  }
  return e;
}

}  // namespace

std::string_view name_of(Device device) {
  constexpr std::string_view names[] = {"Neural Engine", "GPU", "CPU", "-"};
  return names[static_cast<std::size_t>(device)];
}

Device place(const Row& row, const Scene& scene, const Change& change) {
  if (row.work.kind == WorkKind::none) return Device::none;
  bool leaves = false;
  for (const AneRule* rule : row.rules) {
    if (rule->effect != AneEffect::leaves || change.lifted.contains(rule)) continue;
    bool of_float = rule->when.test == AneTest::type_is &&
                    (rule->when.word.starts_with("fp") || rule->when.word == "bf16");
    if (of_float && (change.half || scene.half)) continue;
    leaves = true;
  }
  if (!leaves) return Device::engine;
  bool heavy = row.work.macs > 0 || row.work.elements > small_elements;
  return heavy ? Device::gpu : Device::cpu;
}

Estimate estimate(const Scene& scene, const Change& change) {
  std::vector<Device> devices;
  for (const Row& row : scene.rows) devices.push_back(place(row, scene, change));
  return counted(scene, std::move(devices), change);
}

Estimate estimate_on(const Scene& scene, Device device, const Change& change) {
  std::vector<Device> devices;
  for (const Row& row : scene.rows)
    devices.push_back(row.work.kind == WorkKind::none ? Device::none : device);
  return counted(scene, std::move(devices), change);
}

Figure figure_of(const Estimate& e, double error) {
  return {e.total, e.total / error, e.total * error, e.mj};
}

}  // namespace tl::explain
