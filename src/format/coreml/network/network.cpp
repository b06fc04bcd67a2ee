// SPDX-License-Identifier: Apache-2.0
// Layers one after another: inputs by name, the function of layer.def, outputs by name.
#include "format/coreml/network/network.h"

#include "base/error.h"
#include "base/text.h"
#include "format/coreml/fold.h"
#include "format/coreml/model_type.h"
#include "format/coreml/network/control.h"
#include "format/coreml/proto.h"

namespace tl::coreml {
namespace {

constexpr int deepest_network = 64;
constexpr std::int64_t most_lowered = 1'000'000;

struct Row {
  std::uint32_t field;
  std::string_view name;
  Lowered (*lower)(Layer&);
};

constexpr Row rows[] = {
#define TL_LAYER(number, name, function) {number, #name, lower_##function},
#define TL_NO_LAYER(number, name) {number, #name, nullptr},
#include "format/coreml/network/layer.def"
};

const Row* row_of(std::uint32_t field) {
  for (const Row& row : rows)
    if (row.field == field) return &row;
  return nullptr;
}

// A small value that is known already as a constant: shapes are computed layer by layer, and layers that take
// one see what it is. `first`: of the nodes that the layer has added.
Ex at_once(const Ex& value, std::size_t first) {
  constexpr std::int64_t most = 256;
  Place place = value.place();
  const Type& type = value.type();
  if (value.constant() || !type.is_concrete() || volume(type.shape) > most) return value;
  Tensor known = constant_of(place, value.id(), first);
  return known ? constant(place, known) : value;
}

std::vector<std::string> strings(std::vector<std::string_view> views) { return {views.begin(), views.end()}; }

}  // namespace

std::string layer_type(std::uint32_t field) {
  const Row* row = row_of(field);
  return row ? std::string(row->name) : text("layer {}", field);
}

void check_depth(int depth) {
  if (depth > deepest_network)
    throw Error(Code::bad_input, text("networks are nested deeper than {}", deepest_network));
}

std::vector<Message> inner_networks(std::uint32_t type, const Message& params) {
  std::vector<Message> inner;
  std::uint32_t first = type == 605 ? 1 : 3;
  if (type == 605 || type == 615)
    for (std::uint32_t field : {first, first + 1})
      if (params.has(field)) inner.push_back(params.message(field));
  return inner;
}

std::uint32_t layer_field(const Message& whole) { return whole.choice(100, 0x1fffffff); }

const Ex& Network::blob(std::string_view name) const {
  auto found = blobs_.find(name);
  if (found == blobs_.end())
    throw Error(Code::bad_input,
                text("there is no '{}' before it: no input and no layer gives it", printable(name)));
  return found->second;
}

void Network::define(std::string_view name, Ex value) {
  Value& v = graph_.value(value.id());
  if (v.name.empty()) v.name = name;
  set(name, value);
}

void Network::set(std::string_view name, Ex value) {
  auto found = blobs_.find(name);
  changes_.emplace_back(name, found == blobs_.end() ? std::nullopt : std::optional(found->second));
  blobs_.insert_or_assign(std::string(name), value);
}

void Network::layers(const Message& network, Place place) { some_layers(network.messages(1), place); }

// What follows a layer that may leave its loop is run only if it did not.
void Network::some_layers(std::span<const Message> layers, Place place) {
  check_depth(++depth_);
  for (std::size_t i = 0; i < layers.size(); ++i) {
    auto context = [&] {
      std::uint32_t type = layer_field(layers[i]);
      return text("layer '{}' ({})", printable(layers[i].text(1)), layer_type(type));
    };
    bool leaves = with_note(context, [&] {
      layer(layers[i], place);
      return may_leave(layers[i]);
    });
    if (!leaves) continue;
    unless_left(*this, place, [&](Place inner) { some_layers(layers.subspan(i + 1), inner); });
    break;
  }
  --depth_;
}

void Network::layer(const Message& whole, Place place) {
  if (++lowered_ > most_lowered) throw Error(Code::bad_input, "there are too many layers, or loops in loops");
  std::uint32_t type = layer_field(whole);
  const Row* row = row_of(type);
  if (!type) throw Error(Code::bad_input, "the layer says nothing of what it does");
  if (!row || !row->lower)
    throw Error(Code::unsupported, text("layers of type {} are not supported", layer_type(type)));
  Layer l{*this, place, std::string(whole.text(1)), type, whole.message(type), {}, strings(whole.texts(3)),
          nd_};
  for (std::string_view name : whole.texts(2)) l.in.emplace_back(place, blob(name).id());
  std::size_t first = place.block->nodes.size();
  Lowered values = row->lower(l);
  if (values.size() < l.outputs.size())
    throw Error(Code::bad_input, text("names {} outputs, it has {}", l.outputs.size(), values.size()));
  for (std::size_t i = 0; i < l.outputs.size(); ++i) define(l.outputs[i], at_once(values[i], first));
  if (!l.outputs.empty()) last_output_ = l.outputs.front();
}

}  // namespace tl::coreml
