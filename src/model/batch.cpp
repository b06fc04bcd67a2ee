// SPDX-License-Identifier: Apache-2.0
// Rows.
#include "model/batch.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "base/text.h"

namespace tl {
namespace {

bool few_channels(Dim d) { return d == 1 || d == 3 || d == 4; }

bool is_image_batch(const Feature& feature, const Shape& shape) {
  if (shape.size() == 4) return shape[0] != 1 && (few_channels(shape[3]) || few_channels(shape[1]));
  bool gray = feature.color == ColorSpace::gray || feature.color == ColorSpace::gray_f16;
  return gray && shape.size() == 3 && !few_channels(shape[0]) && !few_channels(shape[2]);
}

bool is_batch(const Feature& feature, const Tensor& t) {
  const Shape& shape = t.shape();
  switch (feature.kind) {
    case FeatureKind::image: return is_image_batch(feature, shape);
    case FeatureKind::int64:
    case FeatureKind::double_:
    case FeatureKind::string: return shape.size() == 1 && shape[0] != 1;
    case FeatureKind::tensor: {
      auto same_rank = [&](const Shape& allowed) { return allowed.size() == shape.size(); };
      if (feature.shape.empty() || shape.size() != feature.shape.size() + 1 || shape[0] == 1) return false;
      return std::none_of(feature.enumerated.begin(), feature.enumerated.end(), same_rank);
    }
    default: return false;
  }
}

Tensor row_of(const Tensor& t, std::int64_t k) {
  Shape shape(t.shape().begin() + 1, t.shape().end());
  std::int64_t size = volume(shape);
  if (t.dtype() == DType::string) {
    std::span<const std::string> all =
        t.as<std::string>().subspan(static_cast<std::size_t>(k * size), static_cast<std::size_t>(size));
    return from_strings({all.begin(), all.end()}, shape);
  }
  return Tensor(t.dtype(), shape, t.storage(),
                t.offset() + bytes_of(t.dtype(), size) * static_cast<std::size_t>(k));
}

const Feature* declared(const Interface& interface, const std::string& name) {
  for (const Feature& feature : interface.inputs)
    if (feature.name == name) return &feature;
  return nullptr;
}

// How many rows, or nothing if no feature has the extra dimension.
std::optional<std::int64_t> count_rows(const Features& features, const Interface& interface) {
  std::optional<std::int64_t> count;
  std::string of;
  for (const auto& [name, value] : features) {
    const Feature* feature = declared(interface, name);
    const auto* t = std::get_if<Tensor>(&value);
    if (!feature || !t || !is_batch(*feature, *t)) continue;
    if (count && *count != t->shape()[0])
      throw Error(Code::bad_input, text("'{}' has {} rows and '{}' has {}", of, *count, name, t->shape()[0]));
    count = t->shape()[0], of = name;
  }
  return count;
}

Tensor stack(std::span<const Tensor> rows) {
  Shape shape = rows.front().shape();
  shape.insert(shape.begin(), static_cast<Dim>(rows.size()));
  if (rows.front().dtype() == DType::string) {
    std::vector<std::string> all;
    for (const Tensor& row : rows)
      for (const std::string& s : row.as<std::string>()) all.push_back(s);
    return from_strings(std::move(all), shape);
  }
  Tensor whole(rows.front().dtype(), shape);
  std::byte* to = whole.writable_data();
  for (const Tensor& row : rows) {
    if (row.bytes()) std::memcpy(to, row.data(), row.bytes());
    to += row.bytes();
  }
  return whole;
}

}  // namespace

Rows rows_of(const Features& features, const Interface& interface) {
  std::optional<std::int64_t> count = count_rows(features, interface);
  if (!count) return {{features}, false};
  Rows all{std::vector<Features>(static_cast<std::size_t>(*count)), true};
  for (std::int64_t k = 0; k < *count; ++k)
    for (const auto& [name, value] : features) {
      const Feature* feature = declared(interface, name);
      const auto* t = std::get_if<Tensor>(&value);
      bool many = feature && t && is_batch(*feature, *t);
      all.rows[static_cast<std::size_t>(k)].emplace_back(name, many ? FeatureValue(row_of(*t, k)) : value);
    }
  return all;
}

std::optional<Tensor> array_of(const FeatureValue& value) {
  if (const auto* t = std::get_if<Tensor>(&value)) return *t;
  if (const auto* image = std::get_if<Image>(&value)) return image->pixels;
  if (const auto* s = std::get_if<std::string>(&value)) return from_strings({*s}, {});
  if (const auto* i = std::get_if<std::int64_t>(&value)) return from_integers({i, 1}, DType::i64, {});
  if (const auto* d = std::get_if<double>(&value)) return from_doubles({d, 1}, DType::f64, {});
  return std::nullopt;
}

Features stacked(std::span<const Features> rows) {
  Features all;
  if (rows.empty()) return all;
  for (std::size_t i = 0; i < rows.front().size(); ++i) {
    const std::string& name = rows.front()[i].first;
    if (std::holds_alternative<Dictionary>(rows.front()[i].second)) {
      all.push_back(rows.front()[i]);  // for the caller to refuse or leave out
      continue;
    }
    std::vector<Tensor> arrays;
    for (const Features& row : rows) {
      std::optional<Tensor> array = i < row.size() ? array_of(row[i].second) : std::nullopt;
      if (!array || (!arrays.empty() && array->type() != arrays.front().type()))
        throw Error(Code::unsupported,
                    text("output '{}' differs in shape from row to row: write it to a .json file", name));
      arrays.push_back(std::move(*array));
    }
    all.emplace_back(name, stack(arrays));
  }
  return all;
}

}  // namespace tl
