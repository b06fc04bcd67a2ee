// SPDX-License-Identifier: Apache-2.0
// A protobuf message read field by field on demand: layers ask for the fields that they know. A view of the
// file, bounds-checked; what is damaged throws when the message is opened.
#pragma once
#include <cstdint>
#include <string_view>
#include <vector>

namespace tl::coreml {

class Message {
 public:
  Message() = default;
  explicit Message(std::string_view whole) : whole_(whole) {}

  std::string_view bytes() const { return whole_; }
  bool empty() const { return whole_.empty(); }

  bool has(std::uint32_t tag) const;
  std::int64_t integer(std::uint32_t tag, std::int64_t fallback = 0) const;  // also enums
  double number(std::uint32_t tag, double fallback = 0) const;               // float and double
  bool flag(std::uint32_t tag, bool fallback = false) const { return integer(tag, fallback) != 0; }
  std::string_view text(std::uint32_t tag) const;  // of a string or of bytes; the last one
  std::vector<std::string_view> texts(std::uint32_t tag) const;
  Message message(std::uint32_t tag) const { return Message(text(tag)); }  // empty if absent
  std::vector<Message> messages(std::uint32_t tag) const;
  std::vector<std::int64_t> integers(std::uint32_t tag) const;  // repeated, packed or not; bools too
  std::vector<double> numbers(std::uint32_t tag) const;         // repeated floats, packed or not
  std::vector<double> doubles(std::uint32_t tag) const;         // repeated doubles
  // Of a oneof of messages: which of [first, last] is there; 0 if none.
  std::uint32_t choice(std::uint32_t first, std::uint32_t last) const;

 private:
  std::string_view whole_ = {};
};

}  // namespace tl::coreml
