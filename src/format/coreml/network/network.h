// SPDX-License-Identifier: Apache-2.0
// A neural network on its way to a graph: its blobs by name, and the lowering of lists of layers, which
// branches and loops use for the networks within them.
#pragma once
#include <map>
#include <optional>
#include <span>

#include "format/coreml/network/layer.h"
#include "ir/model_file.h"

namespace tl::coreml {

using Blobs = std::map<std::string, Ex, std::less<>>;
using Reads = std::map<std::string, std::int64_t, std::less<>>;  // how many layers read a name

class Network {
 public:
  Network(Graph& graph, StoragePtr file, bool nd) : graph_(graph), file_(std::move(file)), nd_(nd) {}

  Graph& graph() { return graph_; }
  bool nd() const { return nd_; }
  const StoragePtr& file() const { return file_; }  // that weights are views of; may be null

  // What every name means now. A nested network sees and defines the same names.
  Blobs& blobs() { return blobs_; }
  const Ex& blob(std::string_view name) const;  // throws Error if no layer gave it
  void define(std::string_view name, Ex value);
  const std::string& last_output() const { return last_output_; }  // of the layer that was lowered last

  void set(std::string_view name, Ex value);  // define without naming the value
  // Runs body, takes back what it has defined, and gives that: the values of a nested block by name.
  template <class Body> Blobs within(const Body& body);
  Reads& reads() { return reads_; }  // of the whole network; an output of the model counts as one more

  // Lowers the layers of a NeuralNetwork message into `place`.
  void layers(const Message& network, Place place);

  // Whether any layer, also of a network within, satisfies test(type, params, number of inputs).
  template <class Test> static bool any_layer(const Message& network, const Test& test, int depth = 0);

 private:
  void some_layers(std::span<const Message> layers, Place place);
  void layer(const Message& whole, Place place);

  Graph& graph_;
  StoragePtr file_;
  bool nd_;
  int depth_ = 0;
  std::int64_t lowered_ = 0;  // layers, those of loops every time
  Blobs blobs_ = {};
  std::vector<std::pair<std::string, std::optional<Ex>>> changes_ = {};  // names and what they meant before
  std::string last_output_ = {};
  Reads reads_ = {};
};

// The networks within a branch or a loop.
std::vector<Message> inner_networks(std::uint32_t type, const Message& params);
// The type of a layer, its field in NeuralNetworkLayer; 0 if it has none.
std::uint32_t layer_field(const Message& whole);
void check_depth(int depth);

template <class Body> Blobs Network::within(const Body& body) {
  std::size_t before = changes_.size();
  body();
  Blobs given;
  for (; changes_.size() > before; changes_.pop_back()) {
    auto& [name, meant] = changes_.back();
    auto now = blobs_.find(name);
    given.try_emplace(name, now->second);
    if (meant) now->second = *meant;
    else blobs_.erase(now);
  }
  return given;
}

template <class Test> bool Network::any_layer(const Message& network, const Test& test, int depth) {
  check_depth(depth);
  for (const Message& whole : network.messages(1)) {
    std::uint32_t type = layer_field(whole);
    Message params = whole.message(type);
    if (test(type, params, whole.texts(2).size())) return true;
    for (const Message& inner : inner_networks(type, params))
      if (any_layer(inner, test, depth + 1)) return true;
  }
  return false;
}

// Reads a NeuralNetwork, its classifier or regressor form: fills in graph or why_not of `function`.
// file: whose bytes the message is a view of.
void lower_network(const Message& network, std::uint32_t model_type, const StoragePtr& file,
                   Function& function);

}  // namespace tl::coreml
