// SPDX-License-Identifier: Apache-2.0
// Protobuf as views: the few words that the Core ML messages are read with, over protozero.
#pragma once
#include <cstring>
#include <protozero/pbf_reader.hpp>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/text.h"

namespace tl::coreml {

using Field = protozero::pbf_reader;

// Cases of `switch (field.tag_and_type())`: the number together with its wire type, so that a field of
// another wire type is skipped like an unknown one.
constexpr std::uint32_t varint(std::uint32_t number) { return number << 3; }
constexpr std::uint32_t fixed64(std::uint32_t number) { return number << 3 | 1; }
constexpr std::uint32_t bytes(std::uint32_t number) { return number << 3 | 2; }
constexpr std::uint32_t fixed32(std::uint32_t number) { return number << 3 | 5; }

inline std::string_view view(Field& field) {
  auto v = field.get_view();
  return {v.data(), v.size()};
}

// protozero's get_bool looks at a byte that may lie behind the end.
inline bool truth(Field& field) { return field.get_uint64() != 0; }

// Calls visit(Field&) for every field of a message; it reads the value or skips it.
template <class Visit> void each_field(std::string_view message, const Visit& visit) {
  Field field(message.data(), message.size());
  while (field.next()) visit(field);
}

// What protozero finds wrong, in our words.
template <class Body> decltype(auto) reading(const Body& body) {
  try {
    return body();
  } catch (const protozero::end_of_buffer_exception&) {
    throw Error(Code::bad_input, "is damaged: a protobuf message ends early");
  } catch (const protozero::exception& wrong) {
    throw Error(Code::bad_input, text("is damaged: {}", wrong.what()));
  }
}

// An entry of a map<string, message>.
inline std::pair<std::string_view, std::string_view> map_entry(std::string_view entry) {
  std::pair<std::string_view, std::string_view> out;
  each_field(entry, [&](Field& field) {
    switch (field.tag_and_type()) {
      case bytes(1): out.first = view(field); break;
      case bytes(2): out.second = view(field); break;
      default: field.skip();
    }
  });
  return out;
}

// Repeated numbers, packed (the usual) or one by one.
inline void append_varints(Field& field, std::vector<std::int64_t>& to) {
  if (field.wire_type() == protozero::pbf_wire_type::varint) return to.push_back(field.get_int64());
  std::string_view run = view(field);
  const char *at = run.data(), *end = at + run.size();
  while (at < end) to.push_back(static_cast<std::int64_t>(protozero::decode_varint(&at, end)));
}

template <class T> void append_fixed(Field& field, std::vector<T>& to) {
  T one;
  if (field.wire_type() != protozero::pbf_wire_type::length_delimited) {
    if constexpr (sizeof(T) == 4) one = field.get_float();
    else one = field.get_double();
    return to.push_back(one);
  }
  std::string_view run = view(field);
  if (run.size() % sizeof(T)) throw Error(Code::bad_input, "is damaged: a run of numbers is cut");
  std::size_t before = to.size();
  to.resize(before + run.size() / sizeof(T));
  if (!run.empty()) std::memcpy(to.data() + before, run.data(), run.size());
}

}  // namespace tl::coreml
