// SPDX-License-Identifier: Apache-2.0
// A matrix unit against sums in float64: odd sizes, every way to pack, several segments.
#pragma once
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "simd/unit.h"

namespace tl::unit_test {

using Floats = std::vector<float>;

struct Case {
  int rows, columns;
  std::int64_t segments, length;  // terms of each segment
  bool half;
};

// Values that the unit's own rounding keeps, so that only sums may differ.
inline float kept(const MatrixUnit& unit, float x) {
  bool narrow = unit.parts == 1 && unit.terms == 2;
  return narrow ? to_float(to_bfloat(x)) : to_float(to_half(x));
}

struct Operand {
  Operand(const MatrixUnit& unit, int lines, std::int64_t length, bool half, unsigned seed)
      : lines_(lines), length_(length), half_(half), values(static_cast<std::size_t>(lines * length)) {
    std::mt19937 random(seed);
    std::uniform_real_distribution<float> uniform(-1, 1);
    for (float& x : values) x = to_float(to_half(kept(unit, uniform(random))));
    for (float x : values) halves.push_back(to_half(x));
  }
  const std::byte* at(std::int64_t line, std::int64_t i) const {
    auto place = static_cast<std::size_t>(line * length_ + i);
    return half_ ? reinterpret_cast<const std::byte*>(halves.data() + place)
                 : reinterpret_cast<const std::byte*>(values.data() + place);
  }
  int lines_;
  std::int64_t length_;
  bool half_;
  Floats values;
  std::vector<Half> halves;
};

inline std::vector<std::byte> room(std::size_t bytes) { return std::vector<std::byte>(bytes + 64); }

// Lines in which each segment is filled up with zeros: [line][segment][groups * terms].
inline Operand filled(const MatrixUnit& unit, const Operand& from, const Case& t) {
  std::int64_t each = unit.groups_of(t.length) * unit.terms, depth = each * t.segments;
  Operand to(unit, from.lines_, depth, t.half, 3);
  std::fill(to.values.begin(), to.values.end(), 0.0f);
  for (std::int64_t r = 0; r < from.lines_; ++r)
    for (std::int64_t k = 0; k < from.length_; ++k)
      to.values[static_cast<std::size_t>(r * depth + k / t.length * each + k % t.length)] =
          from.values[static_cast<std::size_t>(r * from.length_ + k)];
  for (std::size_t i = 0; i < to.values.size(); ++i) to.halves[i] = to_half(to.values[i]);
  return to;
}

// Terms first, columns next to one another, of segment s.
inline Operand turned(const MatrixUnit& unit, const Operand& from, const Case& t, std::int64_t s) {
  Operand to(unit, static_cast<int>(t.length), t.columns, t.half, 4);
  for (std::int64_t k = 0; k < t.length; ++k)
    for (int j = 0; j < t.columns; ++j) {
      float x = from.values[static_cast<std::size_t>(j * from.length_ + s * t.length + k)];
      to.values[static_cast<std::size_t>(k * t.columns + j)] = x;
      to.halves[static_cast<std::size_t>(k * t.columns + j)] = to_half(x);
    }
  return to;
}

struct Segment {
  std::int64_t index = 0;
  bool grouped = false;  // from groups of lines along the columns, else by columns
  std::byte* to = nullptr;
  std::int64_t low = 0;
};
inline void pack_segment(const MatrixUnit& unit, const Operand& b, const Case& t, const Segment& segment) {
  auto [s, grouped, to, low] = segment;
  std::int64_t groups = unit.groups_of(t.length);
  int width = (t.columns + 15) / 16 * 16;
  if (!grouped) {
    std::vector<const std::byte*> columns;
    for (int j = 0; j < t.columns; ++j) columns.push_back(b.at(j, s * t.length));
    return unit.pack_columns({columns.data(), t.half, t.columns, t.length}, groups, width, to, low);
  }
  Operand lines = turned(unit, b, t, s);
  for (std::int64_t k = 0; k < t.length; k += unit.terms) {
    const std::byte* starts[2] = {lines.at(k, 0), k + 1 < t.length ? lines.at(k + 1, 0) : nullptr};
    int count = static_cast<int>(std::min<std::int64_t>(unit.terms, t.length - k));
    unit.pack_group({starts, t.half, count, t.columns}, to + k / unit.terms * width * unit.group_bytes(), low,
                    0);
  }
}

// The largest error of a sum, relative to the sum of the sizes of its terms.
inline double difference(const MatrixUnit& unit, const Operand& a, const Operand& b, const Floats& c) {
  double most = 0;
  for (int r = 0; r < a.lines_; ++r)
    for (int j = 0; j < b.lines_; ++j) {
      double sum = 0, size = 1e-3;
      for (std::int64_t k = 0; k < a.length_; ++k) {
        double x = double{a.values[static_cast<std::size_t>(r * a.length_ + k)]} *
                   b.values[static_cast<std::size_t>(j * b.length_ + k)];
        sum += x, size += std::fabs(x);
      }
      double error = std::fabs(c[static_cast<std::size_t>(r * unit.columns + j)] - sum) / size;
      most = std::isnan(error) ? INFINITY : std::max(most, error);
    }
  return most;
}

inline double worst(const MatrixUnit& unit, const Case& t, bool grouped) {
  std::int64_t groups = unit.groups_of(t.length), all = groups * t.segments;
  int width = (t.columns + 15) / 16 * 16;
  Operand a(unit, t.rows, t.segments * t.length, t.half, 1),
      b(unit, t.columns, t.segments * t.length, t.half, 2);
  Operand rows = filled(unit, a, t);
  std::vector<const std::byte*> starts;
  for (int r = 0; r < t.rows; ++r) starts.push_back(rows.at(r, 0));
  auto low = static_cast<std::int64_t>(unit.a_bytes(t.rows, all));
  auto packed = room(static_cast<std::size_t>(low * unit.parts));
  unit.pack_rows({starts.data(), t.half, t.rows, all * unit.terms}, all, packed.data(), low);
  std::int64_t step = width * unit.group_bytes(), each = groups * step, b_low = each * t.segments;
  auto panel = room(static_cast<std::size_t>(b_low * unit.parts));
  std::vector<std::int64_t> offsets;
  for (std::int64_t s = 0; s < t.segments; ++s) {
    offsets.push_back(s * each);
    pack_segment(unit, b, t, {s, grouped, panel.data() + s * each, b_low});
  }
  Floats c(static_cast<std::size_t>(unit.rows * unit.columns), NAN);
  UnitScope scope(unit);
  unit.multiply({packed.data(), panel.data(), offsets.data(), t.segments, groups, step, low, b_low, t.rows,
                 t.columns, c.data()});
  return difference(unit, a, b, c);
}

inline void check(const MatrixUnit& unit) {
  for (bool half : {false, true})
    for (int rows : {1, 2, 5, unit.rows - 1, unit.rows})
      for (int columns : {1, 16, 17, unit.columns})
        for (std::int64_t segments : {1, 3})
          for (std::int64_t length : {1, 2, 31, 64, 150}) {
            if (unit.parts == 2 && !half) continue;
            for (bool grouped : {false, true}) {
              INFO(unit.name, " ", rows, " x ", columns, " x ", segments, " x ", length, " half ", half);
              CHECK(worst(unit, {rows, columns, segments, length, half}, grouped) <
                    (unit.parts == 2 ? 0x1p-16 : 2e-6));
            }
          }
}

}  // namespace tl::unit_test
