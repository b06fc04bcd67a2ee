// SPDX-License-Identifier: Apache-2.0
// Loops. Names that its networks define and that mean something before are what a round hands to the next:
// the variables of `while_loop`. The network of the condition is lowered twice, before the loop and at the
// end of its body, because the body may read what it defines. Leaving early is a flag, and what follows runs
// under it.
#include "format/coreml/network/loop.h"

#include <algorithm>
#include <set>

#include "base/error.h"
#include "base/text.h"
#include "format/coreml/network/nd.h"
#include "op/formulas.h"

namespace tl::coreml {
namespace {

Ex truth_value(Place place, bool value) { return constant(place, scalar(value, DType::boolean)); }

void names_given(const Message& network, std::set<std::string>& to, int depth = 0) {
  check_depth(depth);
  for (const Message& whole : network.messages(1)) {
    for (std::string_view name : whole.texts(3)) to.emplace(name);
    std::uint32_t type = layer_field(whole);
    for (const Message& inner : inner_networks(type, whole.message(type))) names_given(inner, to, depth + 1);
  }
}

bool leaves(const Message& whole, bool breaks_only, int depth = 0) {
  check_depth(depth);
  std::uint32_t type = layer_field(whole);
  if (type == break_layer || (type == continue_layer && !breaks_only)) return true;
  if (type != branch_layer) return false;
  for (const Message& inner : inner_networks(type, whole.message(type)))
    for (const Message& layer : inner.messages(1))
      if (leaves(layer, breaks_only, depth + 1)) return true;
  return false;
}

struct Variable {
  std::string name = {};
  Ex initial = {};
  Type type = {};
};

class Loop {
 public:
  explicit Loop(Layer& l)
      : layer_(l),
        net_(l.net),
        condition_(l.params.message(3)),
        body_(l.params.message(4)),
        condition_name_(l.params.text(2)) {
    for (const Message& whole : body_.messages(1)) breaks_ = breaks_ || leaves(whole, true);
    count_reads(condition_, condition_reads_);
    inside_ = condition_reads_;
    count_reads(body_, inside_);
    ++inside_[condition_name_];
    ++condition_reads_[condition_name_];
  }

  void run() {
    set_limit();
    start();
    settle_types();
    add_new();
    emit_loop();
  }

 private:
  bool has_condition() const { return !condition_name_.empty(); }

  void set_limit() {
    std::int64_t most = layer_.params.integer(1);
    if (most < 0) throw Error(Code::bad_input, text("has {} as its number of rounds", most));
    if (!layer_.in.empty()) limit_ = one_number(int32(layer_.in[0]));
    else if (most > 0) limit_ = integer(layer_.place, std::min<std::int64_t>(most, 0x7fffffff));
    else if (!has_condition() && !breaks_)
      throw Error(Code::bad_input, "has no condition and no number of rounds: it would never end");
  }

  // The condition before the first round, and the variables.
  void start() {
    std::set<std::string> given, before;
    names_given(body_, given);
    names_given(condition_, given);
    for (const std::string& name : given)
      if (net_.blobs().count(name)) before.insert(name);
    Ex go = truth_value(layer_.place, true);
    if (has_condition()) {
      net_.layers(condition_, layer_.place);
      go = condition(layer_.place);
    }
    if (has_condition() || breaks_) variables_.push_back({std::string(again), go, go.type()});
    for (const std::string& name : given) {
      auto found = net_.blobs().find(name);
      if (found == net_.blobs().end()) continue;
      if (!before.count(name) && !read_outside(net_, name, condition_reads_)) continue;
      Ex value(layer_.place, found->second.id());
      variables_.push_back({name, value, value.type()});
    }
    if (limit_) counter_ = integer(layer_.place, 0);
  }

  Ex condition(Place place) { return holds({place, net_.blob(condition_name_).id()}); }

  // ---- the body

  Place inside(Block& block) { return {&net_.graph(), &block}; }

  Ex input(Block& block, const Type& type) {
    block.inputs.push_back(net_.graph().add_value(type));
    return {inside(block), block.inputs.back()};
  }

  void round(Block& block) {
    Place here = inside(block);
    for (const Variable& v : variables_) net_.set(v.name, input(block, v.type));
    net_.set(left, truth_value(here, false));
    net_.set(skipped, truth_value(here, false));
    net_.layers(body_, here);
    if (!has_condition() && !breaks_) return;
    Ex broken(here, net_.blob(left).id());
    auto next = [&](Place place) {
      if (has_condition()) net_.layers(condition_, place);
      net_.set(again, has_condition() ? condition(place) : truth_value(place, true));
    };
    if (!breaks_) return next(here);
    net_.set(again, truth_value(here, false));
    choose(net_, here, {layer_.name, broken, {Body(), next}, condition_reads_});
  }

  // Lowers the body with the types that the variables have now; says whether it gives those again.
  bool body_keeps_types(int attempt) {
    made_ = {};
    given_ = net_.within([&] { round(made_); });
    bool keeps = true;
    for (Variable& v : variables_) {
      Type all = join(v.type, net_.graph().type(given_.at(v.name).id()));
      if (all == v.type) continue;
      keeps = false;
      if (attempt == 1)
        for (Dim& d : all.shape) d = unknown;
      v.type = attempt < 2 ? all : unranked(all.dtype);
    }
    return keeps;
  }

  void settle_types() {
    for (int attempt = 0; !body_keeps_types(attempt); ++attempt) {}
  }

  // Names that mean something only after the first round.
  void add_new() {
    for (const auto& [name, value] : given_) {
      if (is_flag(name) || net_.blobs().count(name) || !read_outside(net_, name, inside_)) continue;
      Type type = net_.graph().type(value.id());  // a copy: new values move the old ones
      variables_.push_back({name, stand_in(layer_.place, type), type});
      input(made_, type);
    }
  }

  // ---- the node

  void finish_condition(Block& block) {
    Ex go;
    for (const Variable& v : variables_) {
      Ex x = input(block, v.type);
      if (v.name == again) go = x;
    }
    if (limit_) {
      Ex more = less(input(block, counter_.type()), limit_);
      go = go ? logical_and(more, go) : more;
    }
    block.outputs = {go.id()};
  }

  void finish_body() {
    for (const Variable& v : variables_) made_.outputs.push_back(given_.at(v.name).id());
    if (limit_) made_.outputs.push_back((input(made_, counter_.type()) + 1).id());
  }

  void emit_loop() {
    Block condition;
    finish_condition(condition);
    finish_body();
    std::vector<ValueId> inputs;
    for (const Variable& v : variables_) inputs.push_back(v.initial.id());
    if (limit_) inputs.push_back(counter_.id());
    NodeParts parts{layer_.name, {}};
    parts.blocks.push_back(std::move(condition));
    parts.blocks.push_back(std::move(made_));
    const Node& node =
        net_.graph().add_node(*layer_.place.block, ops::while_loop, std::move(inputs), {}, std::move(parts));
    std::vector<ValueId> outputs = node.outputs;
    for (std::size_t i = 0; i < variables_.size(); ++i)
      if (variables_[i].name != again) net_.define(variables_[i].name, {layer_.place, outputs[i]});
  }

  Layer& layer_;
  Network& net_;
  Message condition_, body_;
  std::string condition_name_;
  bool breaks_ = false;
  Reads condition_reads_ = {}, inside_ = {};
  Ex limit_ = {}, counter_ = {};
  std::vector<Variable> variables_ = {};
  Block made_ = {};   // the body
  Blobs given_ = {};  // what it defines
};

Lowered leave(Layer& l, std::initializer_list<std::string_view> flags) {
  need_inputs(l, 0);
  for (std::string_view flag : flags) {
    if (!l.net.blobs().count(flag)) throw Error(Code::bad_input, "is not in a loop");
    l.net.set(flag, truth_value(l.place, true));
  }
  return {};
}

}  // namespace

bool may_leave(const Message& whole) { return leaves(whole, false); }

void unless_left(Network& net, Place place, const Body& rest) {
  Ex flag(place, net.blob(skipped).id());
  choose(net, place, {"", flag, {Body(), rest}, {}});
}

Lowered lower_loop(Layer& l) {
  need_inputs(l, 0, 1);
  Loop(l).run();
  return {};
}

Lowered lower_loop_break(Layer& l) { return leave(l, {left, skipped}); }
Lowered lower_loop_continue(Layer& l) { return leave(l, {skipped}); }

}  // namespace tl::coreml
