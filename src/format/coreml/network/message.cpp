// SPDX-License-Identifier: Apache-2.0
// Fields by number, over protozero.
#include "format/coreml/network/message.h"

#include "format/coreml/proto.h"

namespace tl::coreml {
namespace {

constexpr auto length_delimited = protozero::pbf_wire_type::length_delimited;

// Calls visit(Field&) at every field of this number; it must read the value or skip it.
template <class Visit> void each_of(std::string_view whole, std::uint32_t tag, const Visit& visit) {
  reading([&] {
    each_field(whole, [&](Field& field) {
      if (field.tag() == tag) visit(field);
      else field.skip();
    });
  });
}

}  // namespace

bool Message::has(std::uint32_t tag) const {
  bool found = false;
  each_of(whole_, tag, [&](Field& field) { found = true, field.skip(); });
  return found;
}

std::int64_t Message::integer(std::uint32_t tag, std::int64_t fallback) const {
  each_of(whole_, tag, [&](Field& field) {
    if (field.wire_type() == protozero::pbf_wire_type::varint) fallback = field.get_int64();
    else field.skip();
  });
  return fallback;
}

double Message::number(std::uint32_t tag, double fallback) const {
  each_of(whole_, tag, [&](Field& field) {
    if (field.wire_type() == protozero::pbf_wire_type::fixed32)
      fallback = static_cast<double>(field.get_float());
    else if (field.wire_type() == protozero::pbf_wire_type::fixed64) fallback = field.get_double();
    else field.skip();
  });
  return fallback;
}

std::string_view Message::text(std::uint32_t tag) const {
  std::string_view found;
  each_of(whole_, tag, [&](Field& field) {
    if (field.wire_type() == length_delimited) found = view(field);
    else field.skip();
  });
  return found;
}

std::vector<std::string_view> Message::texts(std::uint32_t tag) const {
  std::vector<std::string_view> found;
  each_of(whole_, tag, [&](Field& field) {
    if (field.wire_type() == length_delimited) found.push_back(view(field));
    else field.skip();
  });
  return found;
}

std::vector<Message> Message::messages(std::uint32_t tag) const {
  std::vector<Message> found;
  for (std::string_view one : texts(tag)) found.emplace_back(one);
  return found;
}

std::vector<std::int64_t> Message::integers(std::uint32_t tag) const {
  std::vector<std::int64_t> found;
  each_of(whole_, tag, [&](Field& field) {
    bool varint = field.wire_type() == protozero::pbf_wire_type::varint;
    if (varint || field.wire_type() == length_delimited) append_varints(field, found);
    else field.skip();
  });
  return found;
}

std::vector<double> Message::numbers(std::uint32_t tag) const {
  std::vector<float> found;
  each_of(whole_, tag, [&](Field& field) {
    bool fixed = field.wire_type() == protozero::pbf_wire_type::fixed32;
    if (fixed || field.wire_type() == length_delimited) append_fixed(field, found);
    else field.skip();
  });
  return {found.begin(), found.end()};
}

std::vector<double> Message::doubles(std::uint32_t tag) const {
  std::vector<double> found;
  each_of(whole_, tag, [&](Field& field) {
    bool fixed = field.wire_type() == protozero::pbf_wire_type::fixed64;
    if (fixed || field.wire_type() == length_delimited) append_fixed(field, found);
    else field.skip();
  });
  return found;
}

std::uint32_t Message::choice(std::uint32_t first, std::uint32_t last) const {
  std::uint32_t found = 0;
  reading([&] {
    each_field(whole_, [&](Field& field) {
      if (field.tag() >= first && field.tag() <= last && field.wire_type() == length_delimited)
        found = field.tag();
      field.skip();
    });
  });
  return found;
}

}  // namespace tl::coreml
