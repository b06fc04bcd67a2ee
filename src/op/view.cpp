// SPDX-License-Identifier: Apache-2.0
// Composing moves into views.
#include "op/view.h"

#include <algorithm>

namespace tl {
namespace {

// Digits that follow one another evenly become one; what counts to 1 is nothing.
void append(std::vector<Digit>& digits, Digit next) {
  if (next.count == 1) return;
  if (!digits.empty() && digits.back().step == next.step * next.count) {
    digits.back() = {digits.back().count * next.count, next.step};
    return;
  }
  digits.push_back(next);
}

// Rewrites steps over the flat index of a view into steps over memory.
class Composer {
 public:
  explicit Composer(const View& base) : base_(base), used_(base.digits.size(), 0) {
    weights_.resize(base.digits.size() + 1);
    std::int64_t weight = 1;
    for (std::size_t j = base.digits.size(); j-- > 0;) {
      weights_[j + 1] = weight;
      weight *= base.digits[j].count;
    }
    weights_[0] = weight;
  }

  bool begin(std::int64_t flat, View& out) {
    out.offset = base_.offset;
    for (std::size_t j = 0; j < used_.size(); ++j) {
      used_[j] = flat / weights_[j + 1];
      flat %= weights_[j + 1];
      out.offset += used_[j] * base_.digits[j].step;
    }
    return flat == 0;
  }

  // One axis of a move; false if it would carry from one digit into another.
  bool axis(std::int64_t count, std::int64_t step, std::vector<Digit>& out) {
    if (step == 0) return append(out, {count, 0}), true;
    std::vector<Digit> parts;
    while (count > 1) {
      std::size_t j = digit_of(step);
      if (j == used_.size() || step % weights_[j + 1] != 0) return false;
      std::int64_t stride = step / weights_[j + 1], length = base_.digits[j].count;
      if (used_[j] + (count - 1) * stride < length) {
        used_[j] += (count - 1) * stride;
        parts.push_back({count, stride * base_.digits[j].step});
        break;
      }
      if (stride != 1 || used_[j] != 0 || count % length != 0) return false;
      used_[j] = length - 1;
      parts.push_back({length, base_.digits[j].step});
      count /= length, step *= length;
    }
    for (std::size_t k = parts.size(); k-- > 0;) append(out, parts[k]);
    return true;
  }

 private:
  std::size_t digit_of(std::int64_t step) const {  // the digit that the step counts in
    for (std::size_t j = 0; j < used_.size(); ++j)
      if (step >= weights_[j + 1] && step < weights_[j]) return j;
    return used_.size();
  }

  const View& base_;
  std::vector<std::int64_t> used_;     // the largest value that each digit takes
  std::vector<std::int64_t> weights_;  // of digit j: weights_[j + 1]
};

// The axes by what `place` says of them, outermost first, if they cover `size` elements without gaps.
template <class Place>
std::optional<std::vector<Axis>> ordered(const Move& m, std::int64_t size, const Place& place) {
  std::vector<Axis> axes;
  for (int a = 0; a < m.rank; ++a)
    if (m.axes[static_cast<std::size_t>(a)].count != 1) axes.push_back(m.axes[static_cast<std::size_t>(a)]);
  std::sort(axes.begin(), axes.end(), [&](const Axis& a, const Axis& b) { return place(a) > place(b); });
  std::int64_t weight = 1;
  for (std::size_t a = axes.size(); a-- > 0;) {
    if (place(axes[a]) != weight) return std::nullopt;
    weight *= axes[a].count;
  }
  if (weight != size) return std::nullopt;
  return axes;
}

const Move* only(std::span<const Move> moves, int output) {
  const Move* found = nullptr;
  for (const Move& m : moves) {
    if (m.output != output) continue;
    if (found) return nullptr;
    found = &m;
  }
  return found;
}

// Cuts a digit so that the ones behind the cut have `weight` combinations.
bool cut(std::vector<Digit>& digits, std::int64_t weight) {
  std::int64_t inner = 1;
  for (std::size_t j = digits.size(); inner < weight; inner *= digits[j].count) {
    if (j-- == 0) return false;
    if (inner * digits[j].count <= weight) continue;
    std::int64_t low = weight / inner;
    if (weight % inner != 0 || digits[j].count % low != 0) return false;
    Digit outer{digits[j].count / low, digits[j].step * low};
    digits[j].count = low;
    digits.insert(digits.begin() + static_cast<std::ptrdiff_t>(j), outer);
    return true;
  }
  return inner == weight;
}

}  // namespace

bool View::is_dense() const {
  return offset == 0 && (digits.empty() || (digits.size() == 1 && digits[0].step == 1));
}

View dense_view(std::int64_t size) {
  View view;
  append(view.digits, {size, 1});
  return view;
}

std::optional<View> view_of(std::span<const Move> moves, int output, std::int64_t size, const View& input) {
  const Move* m = only(moves, output);
  if (!m || m->input != 0 || m->to != 0) return std::nullopt;
  auto axes = ordered(*m, size, [](const Axis& a) { return a.to; });
  View view;
  Composer composer(input);
  if (!axes || m->from < 0 || !composer.begin(m->from, view)) return std::nullopt;
  for (const Axis& a : *axes)
    if (a.from < 0 || !composer.axis(a.count, a.from, view.digits)) return std::nullopt;
  return view;
}

std::optional<View> inverse_view(std::span<const Move> moves, std::int64_t size) {
  if (moves.size() != 1 || moves[0].input != 0 || moves[0].from != 0 || moves[0].to != 0) return std::nullopt;
  auto axes = ordered(moves[0], size, [](const Axis& a) { return a.from; });
  if (!axes) return std::nullopt;
  View view;
  for (const Axis& a : *axes) append(view.digits, {a.count, a.to});
  return view;
}

std::optional<Lattice> lattice(const View& view, std::span<const Dim> shape, std::size_t first) {
  std::vector<Digit> digits = view.digits;
  Lattice result;
  result.steps.resize(shape.size() - first);
  for (std::size_t d = shape.size(); d-- > first;) {
    if (!cut(digits, shape[d])) return std::nullopt;
    std::vector<Digit> own;
    for (std::int64_t left = shape[d]; left > 1; left /= digits.back().count, digits.pop_back())
      own.insert(own.begin(), digits.back());
    std::vector<Digit> joined;
    for (const Digit& digit : own) append(joined, digit);
    if (joined.size() > 1) return std::nullopt;
    result.steps[d - first] = joined.empty() ? 0 : joined[0].step;
  }
  result.starts = {view.offset};
  for (const Digit& digit : digits) {
    std::vector<std::int64_t> next;
    for (std::int64_t start : result.starts)
      for (std::int64_t i = 0; i < digit.count; ++i) next.push_back(start + i * digit.step);
    result.starts = std::move(next);
  }
  return result;
}

std::int64_t reach(const View& view) {
  std::int64_t last = view.offset;
  for (const Digit& digit : view.digits) last += (digit.count - 1) * digit.step;
  return last + 1;
}

}  // namespace tl
