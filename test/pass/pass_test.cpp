// SPDX-License-Identifier: Apache-2.0
// Every file test/pass/PASS/CASE.ir: a graph, a line `=>`, and the graph that the pass makes of it.
#include <doctest/doctest.h>

#include <functional>
#include <map>

#include "base/file.h"
#include "base/storage.h"
#include "base/text.h"
#include "op/reference.h"
#include "pass/gradient.h"
#include "pass/precision.h"
#include "pass/simplify.h"
#include "pass/specialize.h"

using namespace tl;

namespace {

std::vector<Tensor> fold(const Node& node, std::span<const Tensor* const> inputs, std::span<const Type>) {
  std::vector<Tensor> tensors;
  for (const Tensor* t : inputs) tensors.push_back(t ? *t : Tensor());
  return run_reference(*node.op, node.attrs, tensors);
}

Graph specialized(const Graph& graph) {
  std::vector<Type> types;
  for (ValueId v : graph.body.inputs) types.push_back(graph.type(v));
  Graph result = pass::specialize(graph, types, fold);
  pass::drop_unused(result);
  return result;
}

// Of the first output, by every input.
Graph with_gradient(Graph graph) {
  std::vector<ValueId> wrt = graph.body.inputs;
  std::vector<ValueId> grads = pass::gradient(graph, graph.body.outputs.front(), wrt);
  for (std::size_t i = 0; i < grads.size(); ++i) graph.add_output(grads[i], "d_" + graph.value(wrt[i]).name);
  pass::drop_unused(graph);
  return graph;
}

const std::map<std::string, std::function<Graph(Graph)>> passes = {
    {"drop_unused",
     [](Graph g) {
       pass::drop_unused(g);
       return g;
     }},
    {"merge_duplicates",
     [](Graph g) {
       pass::merge_duplicates(g);
       return g;
     }},
    {"drop_no_ops",
     [](Graph g) {
       pass::drop_no_ops(g);
       return g;
     }},
    {"square_powers",
     [](Graph g) {
       pass::square_powers(g);
       return g;
     }},
    {"specialize", specialized},
    {"gradient", with_gradient},
    {"retype", [](Graph g) { return pass::retyped(g, DType::f32); }},
};

// Names of values do not matter: both are printed anew after parsing with their names taken away.
std::string anonymous(Graph graph) {
  for (std::size_t i = 0; i < graph.value_count(); ++i) graph.value(ValueId(i)).name.clear();
  std::string all = print(graph), out;
  std::map<std::string, std::string> names;
  for (std::size_t i = 0; i < all.size();) {
    std::size_t n = 1;
    if (all[i] == '%') {
      while (i + n < all.size() && std::isalnum(static_cast<unsigned char>(all[i + n]))) ++n;
      out += names.emplace(all.substr(i, n), text("%{}", names.size())).first->second;
    } else out += all[i];
    i += n;
  }
  return out;
}

}  // namespace

TEST_CASE("passes turn graphs into what their cases say") {
  std::string root = TL_SOURCE_DIR "/test/pass";
  int cases = 0;
  for (const auto& pass : passes) {
    const std::string& name = pass.first;
    for (const std::string& file : list_folder(join_path(root, name))) {
      CAPTURE(name);
      CAPTURE(file);
      StoragePtr bytes = map_file(join_path(join_path(root, name), file));
      std::string_view source = as_text({bytes->data(), bytes->size()});
      std::size_t arrow = source.find("\n=>\n");
      REQUIRE(arrow != std::string_view::npos);
      Graph result = pass.second(parse_graph(source.substr(0, arrow)));
      verify(result, name);
      CHECK_EQ(anonymous(result), anonymous(parse_graph(source.substr(arrow + 4))));
      ++cases;
    }
  }
  CHECK(cases >= 12);
}

TEST_CASE("the printed form of a graph is read back as it was") {
  const char* source = R"(graph main(%x: fp16[1, ?], %s: state<fp16[2]>) {
  %y: fp16[1, ?] = relu(%x)
  %k: bool = constant [1]
  %z: fp16[1, ?] = cond(%k) () {
    return %y
  } () {
    %w: fp16[1, ?] = sigmoid(%y)
    return %w
  }
  return %z as "out"
}
)";
  Graph graph = parse_graph(source);
  CHECK_EQ(print(parse_graph(print(graph))), print(graph));
  CHECK_THROWS_WITH(parse_graph("graph g(%x: fp16[1]) {\n  %y: fp16[1] = relo(%x)\n  return %y\n}"),
                    doctest::Contains("line 2: there is no operation 'relo' (did you mean 'relu'?)"));
}
