// SPDX-License-Identifier: Apache-2.0
// Nodes before and after the graph: dimensions added and taken away, casts.
#include "model/program_form.h"

#include <algorithm>
#include <array>
#include <set>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "op/formulas.h"
#include "pass/expand.h"
#include "pass/shape_math.h"
#include "pass/simplify.h"

namespace tl {
namespace {

Feature* feature_named(std::vector<Feature>& features, std::string_view name) {
  for (Feature& f : features)
    if (f.name == name) return &f;
  return nullptr;
}

// Where the dimensions of length 1 go that make [Seq, Batch, C, H, W] of a declared shape.
std::vector<std::int64_t> added_axes(std::size_t rank) {
  switch (rank) {
    case 0:
    case 1: return {0, 1, 3, 4};
    case 2: return {1, 3, 4};
    case 3: return {0, 1};
    case 4: return {0};
    default: return {};
  }
}

bool is_program_type(DType d) {
  return d == DType::f16 || d == DType::f32 || d == DType::i32 || d == DType::i8;
}

std::string plain_name(const std::string& name) {
  std::string plain;
  for (char c : name) {
    bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
    bool digit = (c >= '0' && c <= '9') || c == '@';
    if (plain.empty() && digit) plain += '_';
    plain += letter || digit ? c : '_';
  }
  return plain;
}

class Form {
 public:
  explicit Form(Function& f) : function_(f), graph_(*f.graph) {}

  void inputs() {
    Block first;
    for (ValueId& v : graph_.body.inputs) {
      std::string name = graph_.value(v).name;
      Feature* f = feature_named(function_.interface.inputs, name);
      if (f) with_note([&] { return text("input '{}'", printable(name)); }, [&] { input(*f, v, first); });
    }
    std::vector<Node>& nodes = graph_.body.nodes;
    nodes.insert(nodes.begin(), std::make_move_iterator(first.nodes.begin()),
                 std::make_move_iterator(first.nodes.end()));
  }

  void outputs() {
    Place place{&graph_, &graph_.body};
    for (std::size_t i = 0; i < graph_.body.outputs.size(); ++i) {
      Feature* f = feature_named(function_.interface.outputs, graph_.output_names[i]);
      if (!f || f->kind != FeatureKind::tensor) continue;
      if (!is_program_type(f->dtype)) f->dtype = DType::f32;
      Ex y = with_note([&] { return text("output '{}'", printable(f->name)); },
                       [&] {
                         return output(*f, {place, graph_.body.outputs[i]});
                       });
      graph_.body.outputs[i] = y.id();
      f->five = false;
    }
  }

 private:
  // The old input is given by nodes of its own from now on; the new one is what the interface says.
  void input(Feature& f, ValueId& v, Block& first) {
    if (f.kind != FeatureKind::tensor) return;
    if (!is_program_type(f.dtype)) f.dtype = DType::f32;
    const Type inner = graph_.type(v);
    Type type(f.dtype, f.five ? lengths(f) : inner.shape);
    if (type == inner) return;
    ValueId now = graph_.add_value(type, f.name);
    graph_.value(v).name += "_inside";
    Ex x({&graph_, &first}, now);
    if (f.five && type.rank() < 5) x = emit(ops::expand_dims, {x}, {{"axes", added_axes(type.rank())}});
    Node cast{&ops::identity, {x.id()}, {v}, {}, {}, f.name};
    if (type.dtype != inner.dtype) {
      cast.op = &ops::cast;
      cast.attrs.set("dtype", std::string(name_of(inner.dtype)));
    }
    graph_.value(v).type.shape = x.shape();
    first.nodes.push_back(std::move(cast));
    f.five = false;
    v = now;
  }

  Shape lengths(const Feature& f) {
    Shape shape = f.shape;
    for (Dim& d : shape)
      if (f.flexible()) d = graph_.new_symbol();
    return shape;
  }

  Ex output(const Feature& f, Ex y) {
    if (f.five && y.type().is_concrete()) {
      Shape five = five_dims(y.shape());
      bool single = five[0] == 1 && five[1] == 1;
      bool declared = !f.shape.empty() && is_known(f.shape) && volume(f.shape) == volume(five);
      Shape wanted = !single ? y.shape() : declared ? f.shape : Shape(five.begin() + 2, five.end());
      if (wanted != y.shape()) y = emit(ops::reshape, {y, integers(y.place(), wanted)});
    } else if (f.five && y.type().rank() == 5) {
      y = emit(ops::squeeze, {y}, {{"axes", std::vector<std::int64_t>{0, 1}}});
    }
    return cast(y, f.dtype);
  }

  Function& function_;
  Graph& graph_;
};

// Vectors as matrices of one row or column: other tools do not read products of vectors.
std::vector<Ex> product_of_matrices(Place, const Node& node, std::span<const Ex> in) {
  if (node.op != &ops::matmul || (in[0].type().rank() != 1 && in[1].type().rank() != 1)) return {};
  bool row = in[0].type().rank() == 1, column = in[1].type().rank() == 1;
  auto with = [](const Ex& x, std::int64_t axis) {
    return emit(ops::expand_dims, {x}, {{"axes", std::vector<std::int64_t>{axis}}});
  };
  std::array<Ex, 2> operands{row ? with(in[0], 0) : in[0], column ? with(in[1], 1) : in[1]};
  Attrs attrs = node.attrs;  // a vector is not transposed
  if (row) attrs.set("transpose_x", false);
  if (column) attrs.set("transpose_y", false);
  Ex y = emit(ops::matmul, operands, attrs);
  std::vector<std::int64_t> gone;
  if (row) gone.push_back(-2);
  if (column) gone.push_back(-1);
  return {emit(ops::squeeze, {y}, {{"axes", gone}})};
}

Ex repeated_to(const Ex& x, const Shape& shape) {
  if (x.shape() == shape) return x;
  Shape full(shape.size() - x.shape().size(), 1);
  full.insert(full.end(), x.shape().begin(), x.shape().end());
  Ex y = full == x.shape() ? x : emit(ops::reshape, {x, integers(x.place(), full)});
  for (std::size_t d = 0; d < shape.size(); ++d) full[d] = full[d] == shape[d] ? 1 : shape[d];
  return emit(ops::tile, {y, integers(x.place(), full)});
}

// What a choice is made from in full: other tools take its shape from that alone.
std::vector<Ex> choice_of_equals(Place, const Node& node, std::span<const Ex> in) {
  if (node.op != &ops::select) return {};
  for (const Ex& x : in)
    if (!x.type().is_concrete()) return {};
  Shape shape = broadcast(broadcast(in[0].shape(), in[1].shape()), in[2].shape());
  if (in[1].shape() == shape && in[2].shape() == shape) return {};
  return {select(in[0], repeated_to(in[1], shape), repeated_to(in[2], shape))};
}

}  // namespace

std::vector<Type> input_types(const Graph& graph, const Interface& interface) {
  std::vector<Type> types;
  for (ValueId v : graph.body.inputs) {
    Type type = graph.type(v);
    for (const Feature& f : interface.inputs) {
      if (f.name != graph.value(v).name || f.flexible()) continue;
      if (f.kind == FeatureKind::tensor && f.shape.size() == type.rank()) type.shape = f.shape;
      if (f.kind == FeatureKind::image && type.rank() >= 2)
        type.shape[type.rank() - 2] = f.shape[0], type.shape[type.rank() - 1] = f.shape[1];
    }
    types.push_back(std::move(type));
  }
  return types;
}

void describe_outputs(const Graph& graph, Interface& interface) {
  for (Feature& f : interface.outputs)
    for (std::size_t i = 0; i < graph.body.outputs.size(); ++i) {
      const Type& type = graph.type(graph.body.outputs[i]);
      if (graph.output_names[i] != f.name || f.kind != FeatureKind::tensor || !type.is_tensor()) continue;
      f.ranges.clear();
      f.enumerated.clear();
      f.shape = !type.is_concrete() ? Shape{} : type.rank() == 0 ? Shape{1} : type.shape;
    }
}

std::vector<std::pair<std::string, std::string>> give_plain_names(Function& f) {
  std::vector<std::pair<std::string, std::string>> changed;
  std::set<std::string> taken;
  Interface& i = f.interface;
  for (auto* features : {&i.inputs, &i.states, &i.outputs})
    for (const Feature& feature : *features) taken.insert(feature.name);
  auto rename = [&](std::string& name) {
    std::string plain = plain_name(name);
    if (plain == name) return;
    for (std::string first = plain; !taken.insert(plain).second;) plain = first + text("_{}", taken.size());
    changed.emplace_back(std::exchange(name, plain), plain);
  };
  for (auto* features : {&i.inputs, &i.states, &i.outputs})
    for (Feature& feature : *features) rename(feature.name);
  auto follow = [&](std::string& name) {
    for (const auto& [old, now] : changed)
      if (name == old) return void(name = now);
  };
  for (ValueId v : f.graph->body.inputs) follow(f.graph->value(v).name);
  for (std::string& name : f.graph->output_names) follow(name);
  follow(i.predicted_feature);
  follow(i.predicted_probabilities);
  return changed;
}

void give_program_form(Function& f, const pass::Fold& fold) {
  if (f.by_rows || f.conversion)
    throw Error(Code::unsupported, "only programs and neural networks can be written as a program");
  Form(f).inputs();
  f.graph = pass::specialize(*f.graph, input_types(*f.graph, f.interface), fold);
  Form(f).outputs();
  pass::whole_shape_math(*f.graph);
  pass::replace_nodes(*f.graph, product_of_matrices);
  pass::replace_nodes(*f.graph, choice_of_equals);
  pass::drop_no_ops(*f.graph);
  pass::drop_unused(*f.graph);
  describe_outputs(*f.graph, f.interface);
}

}  // namespace tl
