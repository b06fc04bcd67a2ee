// SPDX-License-Identifier: Apache-2.0
// Writing protobuf: the few words that the Core ML messages are written with, over protozero.
#pragma once
#include <protozero/pbf_writer.hpp>
#include <string>
#include <string_view>

namespace tl::coreml {

using Writer = protozero::pbf_writer;

// A message as bytes: message([](Writer& out) { out.add_int64(1, n); }).
template <class Fill> std::string message(const Fill& fill) {
  std::string bytes;
  Writer out(bytes);
  fill(out);
  return bytes;
}

// The same as a field of another message.
template <class Fill> void add_message(Writer& to, std::uint32_t number, const Fill& fill) {
  to.add_message(number, message(fill));
}

// An entry of a map<string, message>.
template <class Fill>
void add_entry(Writer& to, std::uint32_t number, std::string_view key, const Fill& fill) {
  add_message(to, number, [&](Writer& entry) {
    entry.add_string(1, key.data(), key.size());
    add_message(entry, 2, fill);
  });
}

inline void add_text(Writer& to, std::uint32_t number, std::string_view value) {
  to.add_string(number, value.data(), value.size());
}

// proto3 leaves out what is empty.
inline void add_if_any(Writer& to, std::uint32_t number, std::string_view value) {
  if (!value.empty()) add_text(to, number, value);
}

}  // namespace tl::coreml
