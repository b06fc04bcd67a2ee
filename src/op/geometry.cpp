// SPDX-License-Identifier: Apache-2.0
// The arithmetic of windows (MIL, convolution and pooling).
#include "op/geometry.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"

namespace tl {
namespace {

constexpr std::int64_t largest =
    0x7fffffff;  // of a stride, dilation, pad or kernel: sums of them cannot overflow

void check(std::string_view name, std::span<const std::int64_t> values, std::size_t count,
           std::int64_t least) {
  if (values.size() != count)
    throw Error(Code::bad_input, text("{} has {} numbers, {} are needed", name, values.size(), count));
  for (std::int64_t v : values)
    if (v < least || v > largest) throw Error(Code::bad_input, text("{} is {}, which cannot be", name, v));
}

// Lengths, strides and dilations; padding is not settled yet.
std::vector<Window> begin_windows(std::span<const Dim> in, std::span<const Dim> kernel, const Attrs& attrs) {
  std::size_t n = in.size();
  if (kernel.size() != n)
    throw Error(Code::bad_input, text("a kernel of {} dimensions for an input of {}", kernel.size(), n));
  auto strides = attrs.integers_or("strides", n, 1), dilations = attrs.integers_or("dilations", n, 1);
  check("strides", strides, n, 1);
  check("dilations", dilations, n, 1);
  std::vector<Window> all(n);
  for (std::size_t d = 0; d < n; ++d) {
    if (is_known(kernel[d]) && (kernel[d] < 1 || kernel[d] > largest))
      throw Error(Code::bad_input, text("a kernel of length {}, which cannot be", kernel[d]));
    all[d] = {.in = in[d], .kernel = kernel[d], .stride = strides[d], .dilation = dilations[d]};
    if (is_known(kernel[d]) && (kernel[d] - 1) * dilations[d] > largest)
      throw Error(Code::bad_input, "the kernel is too long");
  }
  return all;
}

std::string pad_type_of(const Attrs& attrs) {
  return attrs.has("pad_type") ? attrs.word("pad_type") : "valid";
}

void take_custom_pads(std::vector<Window>& all, const Attrs& attrs) {
  auto pads = attrs.integers_or("pad", 2 * all.size(), 0);
  check("pad", pads, 2 * all.size(), 0);
  for (std::size_t d = 0; d < all.size(); ++d) all[d].before = pads[2 * d], all[d].after = pads[2 * d + 1];
}

// Splits what lies outside between both ends; the odd one is at the end unless `lower`.
void split_pads(Window& w, std::int64_t total, bool lower) {
  w.before = lower ? total - total / 2 : total / 2;
  w.after = total - w.before;
}

void place_same(Window& w, bool lower) {
  if (!is_known(w.in)) {
    w.out = w.stride == 1 ? w.in : unknown;
    return;
  }
  w.out = (w.in + w.stride - 1) / w.stride;
  if (is_known(w.kernel))
    split_pads(w, std::max<std::int64_t>(0, (w.out - 1) * w.stride + w.reach() - w.in), lower);
}

void place_padded(Window& w, bool ceil) {
  std::int64_t pads = w.before + w.after;
  if (is_known(w.kernel) && w.stride == 1 && pads == w.reach() - 1) {
    w.out = w.in;  // also when it is unknown
    if (w.in != 0) return;
  }
  if (!is_known(w.in) || !is_known(w.kernel)) return;
  std::int64_t room = w.in + pads - w.reach();
  if (room < 0)
    throw Error(Code::bad_input,
                text("a window of {} does not fit an input of {} with padding {}", w.reach(), w.in, pads));
  w.out = (room + (ceil ? w.stride - 1 : 0)) / w.stride + 1;
  if (ceil && pads > 0 && (w.out - 1) * w.stride >= w.in + w.before) --w.out;
}

}  // namespace

std::vector<Window> windows(std::span<const Dim> in, std::span<const Dim> kernel, const Attrs& attrs) {
  std::vector<Window> all = begin_windows(in, kernel, attrs);
  std::string type = pad_type_of(attrs);
  bool ceil = attrs.has("ceil_mode") && attrs.boolean("ceil_mode");
  bool same = type == "same" || type == "same_lower";
  if (type == "custom") take_custom_pads(all, attrs);
  if (ceil && same) throw Error(Code::bad_input, "ceil_mode does not go with pad_type same");
  for (Window& w : all) same ? place_same(w, type == "same_lower") : place_padded(w, ceil);
  return all;
}

std::vector<Window> transposed_windows(std::span<const Dim> in, std::span<const Dim> kernel,
                                       const Attrs& attrs) {
  std::vector<Window> all = begin_windows(in, kernel, attrs);
  std::string type = pad_type_of(attrs);
  std::size_t n = all.size();
  std::vector<std::int64_t> wanted;
  if (attrs.has("output_shape") && !attrs.integers("output_shape").empty()) {
    wanted = attrs.integers("output_shape");
    check("output_shape", wanted, n + 2, 0);
    wanted.erase(wanted.begin(), wanted.begin() + 2);
  }
  if (type == "custom") take_custom_pads(all, attrs);
  for (std::size_t d = 0; d < n; ++d) {
    Window& w = all[d];
    bool open = !is_known(w.in) || !is_known(w.kernel);
    std::int64_t whole = open ? 0 : w.in == 0 ? 0 : (w.in - 1) * w.stride + w.reach();
    bool same = type == "same" || type == "same_lower";
    if (!wanted.empty()) w.out = wanted[d];
    else if (same) w.out = is_known(w.in) ? w.in * w.stride : w.stride == 1 ? w.in : unknown;
    else if (!open) w.out = whole - w.before - w.after;
    else if (is_known(w.kernel) && w.stride == 1 && w.before + w.after == w.reach() - 1) w.out = w.in;
    if (open || !is_known(w.out)) continue;
    if (w.out < 0)
      throw Error(Code::bad_input,
                  text("padding {} crops more than the {} there are", w.before + w.after, whole));
    if (type == "custom") w.after = whole - w.out - w.before;
    else if (whole >= w.out) split_pads(w, whole - w.out, type == "same_lower");
    else w.before = 0, w.after = whole - w.out;
  }
  return all;
}

}  // namespace tl
