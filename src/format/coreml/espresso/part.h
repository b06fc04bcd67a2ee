// SPDX-License-Identifier: Apache-2.0
// One layer of an Espresso net, its weights and the shapes of its values; and the protobuf messages that
// layers are put into.
#pragma once
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/reader.h"

namespace tl::coreml::espresso {

using Json = nlohmann::json;

// A message in the making.
class Out {
 public:
  Out& num(std::uint32_t tag, std::int64_t value);
  Out& real(std::uint32_t tag, double value);  // a float
  Out& text(std::uint32_t tag, std::string_view value);
  Out& message(std::uint32_t tag, const Out& inner) { return text(tag, inner.bytes_); }
  Out& list(std::uint32_t tag, const std::vector<std::int64_t>& values);
  const std::string& bytes() const { return bytes_; }

 private:
  void varint(std::uint64_t value);
  std::string bytes_ = {};
};

struct Lengths {  // of a value: [seq, n, k, h, w]
  std::int64_t seq = 1, n = 1, k = 1, h = 1, w = 1;
};

using BlobTable = std::map<std::int64_t, Bytes>;

class Part {
 public:
  Part(const Json& layer, const BlobTable& blobs, const std::map<std::string, Lengths>& shapes);

  const std::string& type() const { return type_; }
  const std::string& name() const { return name_; }
  const std::vector<std::string>& bottoms() const { return bottoms_; }
  const std::vector<std::string>& tops() const { return tops_; }

  bool has(const char* key) const { return layer_.contains(key); }
  std::int64_t integer(const char* key, std::int64_t fallback = 0) const;
  double number(const char* key, double fallback = 0) const;
  bool flag(const char* key) const { return integer(key) != 0; }
  std::int64_t length(const char* key) const;  // at least 1; throws Error

  // A blob named by `key` (fp32) or `key`_f16, as WeightParams of n elements; more are padding.
  Out weight(const std::string& key, std::int64_t n) const;
  std::vector<float> floats(const std::string& key, std::int64_t n) const;
  bool has_weight(const std::string& key) const;

  const Lengths* shape(const std::string& value) const;  // null if it is not said

 private:
  struct Stored {
    Bytes bytes = {};
    bool half = false;
  };
  Stored stored(const std::string& key) const;

  const Json& layer_;
  const BlobTable& blobs_;
  const std::map<std::string, Lengths>& shapes_;
  std::string type_, name_;
  std::vector<std::string> bottoms_ = {}, tops_ = {};
};

Out weight_of(const std::vector<float>&);

// The layers of a NeuralNetwork that do what the part does, appended to `network`. Throws Error(unsupported)
// for what is not known.
void put_part(const Part&, Out& network);

}  // namespace tl::coreml::espresso
