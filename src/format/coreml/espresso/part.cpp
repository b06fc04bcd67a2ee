// SPDX-License-Identifier: Apache-2.0
// Reading the keys of an Espresso layer, and writing protobuf.
#include "format/coreml/espresso/part.h"

#include <cmath>

#include "base/error.h"
#include "base/half.h"
#include "base/text.h"

namespace tl::coreml::espresso {
namespace {

std::string string_of(const Json& object, const char* key) {
  auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::vector<std::string> names_in(const std::string& list) {
  std::vector<std::string> out;
  if (list.empty()) return out;
  for (std::string_view name : split(list, ',')) {
    while (!name.empty() && name.front() == ' ') name.remove_prefix(1);
    out.emplace_back(name);
  }
  return out;
}

}  // namespace

// ---- messages

void Out::varint(std::uint64_t value) {
  for (; value > 127; value >>= 7) bytes_ += static_cast<char>((value & 127) | 128);
  bytes_ += static_cast<char>(value);
}

Out& Out::num(std::uint32_t tag, std::int64_t value) {
  varint(std::uint64_t{tag} << 3);
  varint(static_cast<std::uint64_t>(value));
  return *this;
}

Out& Out::real(std::uint32_t tag, double value) {
  varint(std::uint64_t{tag} << 3 | 5);
  auto single = static_cast<float>(value);
  bytes_.append(reinterpret_cast<const char*>(&single), sizeof single);
  return *this;
}

Out& Out::text(std::uint32_t tag, std::string_view value) {
  varint(std::uint64_t{tag} << 3 | 2);
  varint(value.size());
  bytes_.append(value);
  return *this;
}

Out& Out::list(std::uint32_t tag, const std::vector<std::int64_t>& values) {
  for (std::int64_t value : values) num(tag, value);
  return *this;
}

Out weight_of(const std::vector<float>& values) {
  return Out().text(1, as_text(std::as_bytes(std::span(values))));
}

// ---- parts

Part::Part(const Json& layer, const BlobTable& blobs, const std::map<std::string, Lengths>& shapes)
    : layer_(layer),
      blobs_(blobs),
      shapes_(shapes),
      type_(string_of(layer, "type")),
      name_(string_of(layer, "name")) {
  bottoms_ = names_in(string_of(layer, "bottom"));
  tops_ = names_in(string_of(layer, "top"));
  if (tops_.empty()) throw Error(Code::bad_input, "gives nothing: it has no 'top'");
}

double Part::number(const char* key, double fallback) const {
  auto found = layer_.find(key);
  if (found == layer_.end()) return fallback;
  if (found->is_boolean()) return found->get<bool>();
  if (!found->is_number()) throw Error(Code::bad_input, text("'{}' is not a number", key));
  return found->get<double>();
}

std::int64_t Part::integer(const char* key, std::int64_t fallback) const {
  double value = number(key, static_cast<double>(fallback));
  if (!(std::abs(value) <= 1e9) || value != std::floor(value))
    throw Error(Code::bad_input, text("'{}' is {}, not a whole number that is possible", key, value));
  return static_cast<std::int64_t>(value);
}

std::int64_t Part::length(const char* key) const {
  std::int64_t n = integer(key);
  if (n < 1) throw Error(Code::bad_input, text("'{}' is {}; it must be at least 1", key, n));
  return n;
}

bool Part::has_weight(const std::string& key) const {
  return has(key.c_str()) || has((key + "_f16").c_str());
}

Part::Stored Part::stored(const std::string& key) const {
  bool half = !has(key.c_str());
  std::string full = half ? key + "_f16" : key;
  if (!has(full.c_str())) throw Error(Code::bad_input, text("has no '{}'", key));
  std::int64_t id = integer(full.c_str());
  auto found = blobs_.find(id);
  if (found == blobs_.end())
    throw Error(Code::bad_input, text("'{}' is blob {}, which is not among the weights", full, id));
  return {found->second, half};
}

Out Part::weight(const std::string& key, std::int64_t n) const {
  Stored s = stored(key);
  std::uint64_t needed = static_cast<std::uint64_t>(n) * (s.half ? 2 : 4);
  if (s.bytes.size() < needed)
    throw Error(Code::bad_input,
                text("the blob of '{}' has {} bytes, {} are needed", key, s.bytes.size(), needed));
  return Out().text(s.half ? 2 : 1, as_text(s.bytes.first(static_cast<std::size_t>(needed))));
}

std::vector<float> Part::floats(const std::string& key, std::int64_t n) const {
  Stored s = stored(key);
  if (s.bytes.size() / (s.half ? 2 : 4) < static_cast<std::uint64_t>(n))
    throw Error(Code::bad_input,
                text("the blob of '{}' has {} bytes, {} elements are needed", key, s.bytes.size(), n));
  std::vector<float> out(static_cast<std::size_t>(n));
  if (!s.half && n) std::memcpy(out.data(), s.bytes.data(), out.size() * sizeof(float));
  for (std::size_t i = 0; s.half && i < out.size(); ++i) {
    Half h;
    std::memcpy(&h, s.bytes.data() + 2 * i, 2);
    out[i] = to_float(h);
  }
  return out;
}

const Lengths* Part::shape(const std::string& value) const {
  auto found = shapes_.find(value);
  return found == shapes_.end() ? nullptr : &found->second;
}

}  // namespace tl::coreml::espresso
