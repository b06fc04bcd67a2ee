// SPDX-License-Identifier: Apache-2.0
// What the operation tests share: inputs made from samples, attributes from text, and comparing within units
// in the last place or a tolerance.
#pragma once
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "base/error.h"
#include "base/text.h"
#include "ir/ex.h"

namespace tl::test {

struct Case {  // one operation, ready to run
  const OpDef* op = nullptr;
  Attrs attrs = {};
  std::vector<Tensor> inputs = {};  // empty: absent
};

inline std::string text_of_case(const Case& c) {
  std::string s = std::string(c.op->name) + "(";
  for (const Tensor& t : c.inputs) s += (t ? text_of(t.type()) : "-") + ", ";
  for (const auto& [name, value] : c.attrs) s += name + "=" + tl::text_of(value) + ", ";
  return s + ")";
}

// "a=1, b=[1, 2], " as attributes of op; commas inside brackets or quotes do not separate.
inline Attrs attrs_from(const OpDef& op, std::string_view source) {
  Attrs attrs;
  int depth = 0;
  bool quoted = false;
  std::string item;
  auto take = [&] {
    auto from = item.find_first_not_of(' ');
    auto equals = item.find('=');
    if (from != std::string::npos && equals != std::string::npos) {
      std::string name = item.substr(from, equals - from);
      auto def =
          std::find_if(op.attrs.begin(), op.attrs.end(), [&](const AttrDef& d) { return d.name == name; });
      REQUIRE_MESSAGE(def != op.attrs.end(), op.name << " has no attribute " << name);
      attrs.set(name, parse_attr(def->kind, item.substr(equals + 1)));
    }
    item.clear();
  };
  for (char c : source) {
    if (c == '"') quoted = !quoted;
    depth += (c == '[') - (c == ']');
    if (c == ',' && depth == 0 && !quoted) take();
    else item += c;
  }
  take();
  return complete({op.attrs.begin(), op.attrs.size()}, attrs);
}

using Random = std::mt19937;

inline Tensor random_tensor(DType d, Shape shape, Random& random, double low, double high) {
  std::vector<double> data(static_cast<std::size_t>(volume(shape)));
  bool whole = !is_float(d);
  for (double& x : data) {
    double u = low + (high - low) * (static_cast<double>(random()) / 4294967296.0);
    x = whole ? std::floor(low + (high - low + 1) * (static_cast<double>(random()) / 4294967296.0)) : u;
  }
  return from_doubles(data, d, std::move(shape));
}

// "fp32[2, 3]", "int32[3] 0..4", "int32[2] = [1, 2]", "" (absent).
inline Tensor tensor_from(std::string_view source, Random& random,
                          std::optional<DType> instead_of_fp32 = {}) {
  if (source.empty()) return {};
  auto open = source.find('['), close = source.find(']');
  std::optional<DType> d = dtype_named(source.substr(0, std::min(open, source.find(' '))));
  REQUIRE_MESSAGE(d.has_value(), source);
  if (*d == DType::f32 && instead_of_fp32) d = instead_of_fp32;
  Shape shape;
  if (open != std::string_view::npos)
    shape = std::get<std::vector<std::int64_t>>(
        parse_attr(AttrKind::integers, source.substr(open, close - open + 1)));
  std::string_view rest = open == std::string_view::npos ? "" : source.substr(close + 1);
  if (auto equals = rest.find('='); equals != std::string_view::npos) {
    auto from = rest.find_first_not_of(' ', equals + 1);
    auto numbers = std::get<std::vector<double>>(parse_attr(AttrKind::numbers, rest.substr(from)));
    return from_doubles(numbers, *d, shape);
  }
  double low = is_float(*d)                              ? -2
               : *d == DType::boolean || !is_integer(*d) ? 0
                                                         : 1,
         high = is_float(*d)           ? 2
                : *d == DType::boolean ? 1
                                       : 3;
  if (auto dots = rest.find(".."); dots != std::string_view::npos) {
    low = std::stod(std::string(rest.substr(0, dots)));
    high = std::stod(std::string(rest.substr(dots + 2)));
  }
  return random_tensor(*d, std::move(shape), random, low, high);
}

inline bool is_row(const OpDef& op) { return has(op.traits, Traits::elementwise); }

// The cases of an operation: its samples, or for rows small shapes of ranks 0 to 5, empty ones too.
inline std::vector<Case> cases_of(const OpDef& op, std::optional<DType> instead_of_fp32 = {}) {
  std::vector<Case> cases;
  Random random(7);
  std::string_view given;
  for (const Sample& sample : op.samples) {
    if (!sample.inputs.size()) {
      given = sample.attrs;
      continue;
    }
    Case c{&op, attrs_from(op, sample.attrs), {}};
    for (std::string_view input : sample.inputs)
      c.inputs.push_back(tensor_from(input, random, instead_of_fp32));
    c.inputs.resize(std::max(
        c.inputs.size(),
        op.inputs.size() - (op.inputs.size() && op.inputs[op.inputs.size() - 1].arity == Arity::many)));
    cases.push_back(std::move(c));
  }
  if (!cases.empty() || !is_row(op)) return cases;
  bool truth = op.name.starts_with("logical");
  for (std::string_view shape :
       {"[]", "[1]", "[5]", "[0]", "[2, 3]", "[3, 0, 2]", "[2, 1, 3]", "[1, 2, 3, 2]", "[2, 1, 2, 1, 3]"}) {
    Case c{&op, attrs_from(op, given), {}};
    for (std::size_t k = 0; k < op.inputs.size(); ++k)
      c.inputs.push_back(
          tensor_from(std::string(truth || (op.inputs.size() == 3 && k == 0) ? "bool" : "fp32") +
                          std::string(shape) + (k == 1 && !truth ? " 0.5..2" : ""),
                      random, instead_of_fp32));
    cases.push_back(std::move(c));
  }
  return cases;
}

// Distance in units in the last place of the type; equal infinities and NaNs are at distance 0.
inline double ulps(DType type, double got, double want) {
  if (got == want || (got != got && want != want)) return 0;
  if (!is_float(type) || got != got || want != want || std::isinf(got) || std::isinf(want)) return 1e30;
  int lowest = type == DType::f16 ? -14 : -126, digits = type == DType::f16    ? 10
                                                         : type == DType::bf16 ? 7
                                                         : type == DType::f64  ? 52
                                                                               : 23;
  int exponent = want == 0 ? lowest : std::max(std::ilogb(want), lowest);
  return std::fabs(got - want) / std::ldexp(1.0, exponent - digits);
}

// The largest difference allowed of a sum of many products: relative to the element and to the tensor's size.
inline bool close(const Tensor& got, const Tensor& want, double relative, std::string& why) {
  if (got.dtype() != want.dtype() || got.shape() != want.shape()) {
    why = "is " + text_of(got.type()) + ", should be " + text_of(want.type());
    return false;
  }
  if (want.dtype() == DType::string) return same(got, want);
  auto g = to_doubles(got), w = to_doubles(want);
  double scale = 0;
  for (double x : w)
    if (std::isfinite(x)) scale = std::max(scale, std::fabs(x));
  for (std::size_t i = 0; i < w.size(); ++i) {
    if (g[i] == w[i] || (g[i] != g[i] && w[i] != w[i])) continue;
    double limit = is_float(want.dtype()) ? relative * (std::fabs(w[i]) + 0.25 * scale) + 1e-30 : 0;
    if (std::fabs(g[i] - w[i]) <= limit) continue;
    why = text("element {} is {:.9g}, should be {:.9g}", i, g[i], w[i]);
    return false;
  }
  return true;
}

}  // namespace tl::test
