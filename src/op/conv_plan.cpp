// SPDX-License-Identifier: Apache-2.0
// Taps, phases and pieces of convolutions: the integer part of their kernels.
#include "op/conv_plan.h"

#include <algorithm>

#include "base/text.h"

namespace tl {
namespace {

std::array<Window, 3> in_three(std::span<const Window> windows) {
  std::array<Window, 3> all;
  all.fill({.in = 1, .out = 1});
  std::copy(windows.begin(), windows.end(), all.begin() + static_cast<std::ptrdiff_t>(3 - windows.size()));
  return all;
}

ConvPlan begin_plan(std::span<const Dim> x, const std::array<Window, 3>& w, std::int64_t groups) {
  ConvPlan plan;
  plan.batch = x[0], plan.groups = groups, plan.channels = x[1] / groups;
  for (std::size_t d = 0; d < 3; ++d) plan.in[d] = w[d].in, plan.kernel_volume *= w[d].kernel;
  return plan;
}

// Without padding and strides a window of one element sees one long row.
void flatten(ConvPlan& plan) {
  bool plain = plan.taps.size() == 1 && plan.taps[0].offset == std::array<std::int64_t, 3>{} &&
               plan.in == plan.out && plan.stride == std::array<std::int64_t, 3>{1, 1, 1};
  if (plain) plan.in = plan.out = {1, 1, plan.in_plane()};
}

std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return a >= 0 ? (a + b - 1) / b : -(-a / b); }
std::int64_t floor_div(std::int64_t a, std::int64_t b) { return a >= 0 ? a / b : -((-a + b - 1) / b); }

// The taps of one dimension: for conv all, for a phase of the transposed one those that meet it.
struct Taps1 {
  std::vector<std::int64_t> offset, index;
};

Taps1 taps_of(const Window& w) {
  Taps1 taps;
  for (std::int64_t k = 0; k < w.kernel; ++k)
    taps.offset.push_back(k * w.dilation - w.before), taps.index.push_back(k);
  return taps;
}

Taps1 taps_of_phase(const Window& w, std::int64_t phase) {
  Taps1 taps;
  for (std::int64_t k = 0; k < w.kernel; ++k) {
    std::int64_t distance = phase + w.before - k * w.dilation;
    if (distance % w.stride != 0) continue;
    taps.offset.push_back(distance / w.stride);
    taps.index.push_back(k);
  }
  return taps;
}

void combine(ConvPlan& plan, const std::array<Window, 3>& w, const std::array<Taps1, 3>& t) {
  for (std::size_t a = 0; a < t[0].index.size(); ++a)
    for (std::size_t b = 0; b < t[1].index.size(); ++b)
      for (std::size_t c = 0; c < t[2].index.size(); ++c)
        plan.taps.push_back({{t[0].offset[a], t[1].offset[b], t[2].offset[c]},
                             (t[0].index[a] * w[1].kernel + t[1].index[b]) * w[2].kernel + t[2].index[c]});
}

}  // namespace

ConvPlan plan_conv(std::span<const Dim> x, std::span<const Dim> weight, std::span<const Window> windows,
                   std::int64_t groups) {
  std::array<Window, 3> w = in_three(windows);
  ConvPlan plan = begin_plan(x, w, groups);
  plan.outs = weight[0] / groups;
  for (std::size_t d = 0; d < 3; ++d) plan.out[d] = w[d].out, plan.stride[d] = w[d].stride;
  combine(plan, w, {taps_of(w[0]), taps_of(w[1]), taps_of(w[2])});
  flatten(plan);
  return plan;
}

std::vector<ConvPlan> plan_conv_transpose(std::span<const Dim> x, std::span<const Dim> weight,
                                          std::span<const Window> windows, std::int64_t groups) {
  std::array<Window, 3> w = in_three(windows);
  std::vector<ConvPlan> plans;
  for (std::int64_t a = 0; a < w[0].stride; ++a)
    for (std::int64_t b = 0; b < w[1].stride; ++b)
      for (std::int64_t c = 0; c < w[2].stride; ++c) {
        ConvPlan plan = begin_plan(x, w, groups);
        plan.outs = weight[1];
        plan.transposed = true;
        plan.first = {a, b, c};
        for (std::size_t d = 0; d < 3; ++d) {
          plan.step[d] = w[d].stride;
          plan.out[d] =
              plan.first[d] < w[d].out ? (w[d].out - plan.first[d] + w[d].stride - 1) / w[d].stride : 0;
        }
        if (plan.out_plane() == 0) continue;
        combine(plan, w, {taps_of_phase(w[0], a), taps_of_phase(w[1], b), taps_of_phase(w[2], c)});
        plans.push_back(std::move(plan));
      }
  return plans;
}

int find_pieces(const ConvPlan& plan, const Tap& tap, std::int64_t first, int count, Piece* pieces) {
  std::int64_t x = first % plan.out[2], y = first / plan.out[2] % plan.out[1],
               z = first / plan.out[2] / plan.out[1];
  int n = 0, at = 0;
  auto add = [&](int length, std::int64_t from) {
    if (length <= 0) return;
    if (from < 0 && n > 0 && pieces[n - 1].from < 0) pieces[n - 1].length += length;
    else pieces[n++] = {at, length, from};
    at += length;
  };
  while (at < count) {
    int length = static_cast<int>(std::min<std::int64_t>(plan.out[2] - x, count - at));
    std::int64_t iz = z * plan.stride[0] + tap.offset[0], iy = y * plan.stride[1] + tap.offset[1],
                 s = plan.stride[2];
    if (iz < 0 || iz >= plan.in[0] || iy < 0 || iy >= plan.in[1]) {
      add(length, -1);
    } else {
      std::int64_t low = std::clamp(ceil_div(-tap.offset[2], s), x, x + length);
      std::int64_t high = std::clamp(floor_div(plan.in[2] - 1 - tap.offset[2], s) + 1, low, x + length);
      add(static_cast<int>(low - x), -1);
      add(static_cast<int>(high - low), (iz * plan.in[1] + iy) * plan.in[2] + low * s + tap.offset[2]);
      add(static_cast<int>(x + length - high), -1);
    }
    x = 0;
    if (++y == plan.out[1]) y = 0, ++z;
  }
  return n;
}

bool all_finite(const Tensor& halves) {
  std::span values(reinterpret_cast<const Half*>(halves.data()), static_cast<std::size_t>(halves.size()));
  constexpr unsigned exponent = 0x7c00;
  unsigned found = 0;
  for (std::size_t i = 0; i < values.size();) {
    std::size_t end = std::min(values.size(), i + 4096);
    // Without a branch: the largest exponent and one more carries into the sign's place.
    for (; i < end; ++i) found |= (values[i].bits & exponent) + 0x400;
    if (found & 0x8000) return false;
  }
  return true;
}

std::string weight_form(std::string_view kernel, const ConvPlan& plan) {
  std::string form = text("{} {} {} {} {} {}:", kernel, plan.groups, plan.channels, plan.outs,
                          plan.kernel_volume, plan.transposed);
  for (const Tap& tap : plan.taps) form += text("{} ", tap.weight);
  return form;
}

}  // namespace tl
