// SPDX-License-Identifier: Apache-2.0
// Which fields of which layers are WeightParams (coreml.md 6.5 to 6.7), and how many elements of which type
// each holds.
#include "format/coreml/network_weight.h"

#include <algorithm>

#include "format/coreml/proto.h"

namespace tl::coreml {
namespace {

struct WeightField {
  std::uint32_t layer, field;
  std::string_view name;
  bool matrix;             // rank 2 and more, its first length given by `rows`
  std::uint32_t rows = 0;  // field with that length
};

constexpr WeightField fields[] = {
    {100, 90, "weights", true, 1}, {100, 91, "bias", false},       {1471, 60, "weights", true, 1},
    {1471, 61, "bias", false},     {140, 20, "weights", true, 2},  {140, 21, "bias", false},
    {1045, 8, "weights", true, 6}, {1045, 9, "bias", false},       {150, 20, "weights", true, 2},
    {150, 21, "bias", false},      {1040, 20, "weights", true, 2}, {1040, 21, "bias", false},
    {160, 15, "gamma", false},     {160, 16, "beta", false},       {160, 17, "mean", false},
    {160, 18, "variance", false},  {1350, 3, "gamma", false},      {1350, 4, "beta", false},
    {245, 2, "scale", false},      {245, 5, "bias", false},        {290, 2, "data", false},
    {1070, 2, "data", false},      {400, 30, "W", true, 2},        {400, 31, "R", true, 2},
    {400, 32, "b", false},         {410, 30, "W_z", true, 2},      {410, 31, "W_r", true, 2},
    {410, 32, "W_o", true, 2},     {410, 50, "R_z", true, 2},      {410, 51, "R_r", true, 2},
    {410, 52, "R_o", true, 2},     {410, 70, "b_z", false},        {410, 71, "b_r", false},
    {410, 72, "b_o", false},
};

struct Stored {
  std::string type = {};
  std::int64_t elements = 0;
  std::uint64_t bytes = 0;
};

std::uint64_t number_of(std::string_view message, std::uint32_t field) {
  std::uint64_t value = 0;
  each_field(message, [&](Field& f) {
    if (f.tag_and_type() == varint(field)) value = f.get_uint64();
    else f.skip();
  });
  return value;
}

Stored stored_in(std::string_view params) {
  std::string_view floats, halves, raw, raw8;
  std::uint64_t bits = 8;
  each_field(params, [&](Field& f) {
    switch (f.tag_and_type()) {
      case bytes(1): floats = view(f); break;
      case bytes(2): halves = view(f); break;
      case bytes(30): raw = view(f); break;
      case bytes(31): raw8 = view(f); break;
      case bytes(40): bits = number_of(view(f), 1); break;
      default: f.skip();
    }
  });
  auto counted = [](std::string type, std::string_view data, std::size_t width_in_bits) {
    return Stored{std::move(type), static_cast<std::int64_t>(data.size() * 8 / width_in_bits), data.size()};
  };
  if (!floats.empty()) return counted("fp32", floats, 32);
  if (!halves.empty()) return counted("fp16", halves, 16);
  if (!raw8.empty()) return counted("int8", raw8, 8);
  if (raw.empty() || bits < 1 || bits > 16) return {};
  return counted(text("uint{}", bits), raw, static_cast<std::size_t>(bits));
}

}  // namespace

void list_weights(std::string_view layer_name, std::uint32_t type, std::string_view content,
                  std::vector<NamedTensor>& to) {
  if (std::none_of(std::begin(fields), std::end(fields),
                   [&](const WeightField& row) { return row.layer == type; }))
    return;
  each_field(content, [&](Field& f) {
    auto row = std::find_if(std::begin(fields), std::end(fields), [&](const WeightField& r) {
      return r.layer == type && f.tag_and_type() == bytes(r.field);
    });
    if (row == std::end(fields)) return f.skip();
    Stored stored = stored_in(view(f));
    if (stored.elements == 0) return;
    NamedTensor t;
    t.name = text("{}.{}", layer_name, row->name);
    t.stored = stored.type;
    t.bytes = stored.bytes;
    t.readable = false;
    auto rows = static_cast<std::int64_t>(row->matrix ? number_of(content, row->rows) : 0);
    bool divides = rows > 0 && stored.elements % rows == 0;
    t.shape = divides ? Shape{rows, stored.elements / rows} : Shape{stored.elements};
    to.push_back(std::move(t));
  });
}

}  // namespace tl::coreml
