// SPDX-License-Identifier: Apache-2.0
// Branches, and what they have in common with loops. Blobs belong to the whole network, so a name that a
// branch defines goes on to mean that after it: it becomes an output of `cond`.
#include "format/coreml/network/control.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "format/coreml/fold.h"
#include "format/coreml/network/loop.h"
#include "format/coreml/network/nd.h"
#include "op/formulas.h"

namespace tl::coreml {

void count_reads(const Message& network, Reads& to, int depth) {
  check_depth(depth);
  for (const Message& whole : network.messages(1)) {
    for (std::string_view name : whole.texts(2)) ++to[std::string(name)];
    std::uint32_t type = layer_field(whole);
    Message params = whole.message(type);
    if (type == loop_layer) ++to[std::string(params.text(2))];
    for (const Message& inner : inner_networks(type, params)) count_reads(inner, to, depth + 1);
  }
}

bool read_outside(Network& net, const std::string& name, const Reads& inside) {
  auto count = [&](const Reads& reads) {
    auto found = reads.find(name);
    return found == reads.end() ? 0 : found->second;
  };
  return count(net.reads()) > count(inside);
}

Ex stand_in(Place place, const Type& type) {
  Shape shape = type.shape;
  for (Dim& d : shape)
    if (!is_known(d)) d = 0;
  if (type.dtype == DType::boolean) return constant(place, scalar(0, DType::boolean));
  return emit(ops::fill, {integers(place, shape)}, {{"value", 0.0}});
}

Ex holds(const Ex& condition) {
  Ex inside = truth_in(condition);
  return one_number(inside ? inside : greater(abs(condition), 1e-6));
}

namespace {

struct Side {  // of a branch
  Block block = {};
  Blobs given = {};
  Ex value(Network& net, const std::string& name) {
    auto found = given.find(name);
    Place here{&net.graph(), &block};
    if (found != given.end()) return {here, found->second.id()};
    auto before = net.blobs().find(name);
    return before == net.blobs().end() ? Ex() : Ex(here, before->second.id());
  }
};

}  // namespace

void choose(Network& net, Place place, const Choice& choice) {
  constexpr std::size_t most = 8;  // nodes that make a condition of a blob
  std::size_t nodes = place.block->nodes.size();
  if (Tensor known = constant_of(place, choice.condition.id(), nodes - std::min(nodes, most))) {
    const Body& taken = choice.bodies[to_integers(known).at(0) ? 0 : 1];
    return taken ? taken(place) : void();
  }
  std::array<Side, 2> sides;
  for (std::size_t k : {0u, 1u})
    sides[k].given = net.within([&] {
      if (choice.bodies[k]) choice.bodies[k]({&net.graph(), &sides[k].block});
    });
  Blobs all = sides[0].given;
  all.insert(sides[1].given.begin(), sides[1].given.end());
  std::vector<std::string> names;
  for (const auto& [name, value] : all) {
    if (!net.blobs().count(name) && !read_outside(net, name, choice.inside)) continue;
    Ex a = sides[0].value(net, name), b = sides[1].value(net, name);
    if (!a) a = stand_in({&net.graph(), &sides[0].block}, b.type());
    if (!b) b = stand_in({&net.graph(), &sides[1].block}, a.type());
    sides[0].block.outputs.push_back(a.id());
    sides[1].block.outputs.push_back(b.id());
    names.push_back(name);
  }
  NodeParts parts{choice.name, {}};
  for (Side& side : sides) parts.blocks.push_back(std::move(side.block));
  const Node& node =
      net.graph().add_node(*place.block, ops::cond, {choice.condition.id()}, {}, std::move(parts));
  std::vector<ValueId> outputs = node.outputs;
  for (std::size_t i = 0; i < names.size(); ++i) {
    Ex value(place, outputs[i]);
    if (is_flag(names[i])) net.set(names[i], value);
    else net.define(names[i], value);
  }
}

Lowered lower_copy(Layer& l) {
  need_inputs(l, 1);
  return {l.in[0]};
}

Lowered lower_branch(Layer& l) {
  need_inputs(l, 1);
  Choice choice{l.name, holds(l.in[0]), {}, {}};
  for (std::uint32_t k : {0u, 1u}) {
    Message network = l.params.message(k + 1);
    count_reads(network, choice.inside);
    choice.bodies[k] = [&net = l.net, network](Place place) { net.layers(network, place); };
  }
  choose(l.net, l.place, choice);
  return {};
}

}  // namespace tl::coreml
