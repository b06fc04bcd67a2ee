// SPDX-License-Identifier: Apache-2.0
// Weights counted, whatever the format.
#include "model/metadata.h"

#include <algorithm>
#include <map>
#include <set>

#include "base/text.h"

namespace tl {
namespace {

std::string stored_name(DType dtype) {
  switch (dtype) {
    case DType::f16: return "F16";
    case DType::f32: return "F32";
    case DType::f64: return "F64";
    case DType::bf16: return "BF16";
    case DType::f8e4m3: return "F8_E4M3";
    case DType::f8e5m2: return "F8_E5M2";
    default: return text("Int{}", bits_of(dtype));
  }
}

// Formats spell types in their own way: "fp16" is "F16", "Q4_0" stays.
std::string plain_name(const std::string& stored) {
  std::optional<DType> dtype = dtype_named(stored);
  return dtype && *dtype != DType::string && *dtype != DType::boolean ? stored_name(*dtype) : stored;
}

class Weights {
 public:
  void add(const std::string& name, std::int64_t elements, std::uint64_t bytes, std::size_t rank) {
    Precision& p = of(name);
    ++p.tensors;
    p.parameters += elements;
    p.bytes += bytes;
    if (rank >= 2) p.of_matrices += elements;
  }
  void add(const ModelFile& file) {
    bool graphs = false;  // which hold the weights, so that the list of tensors says nothing more
    for (const Function& function : file.functions)
      if (function.graph) add(*function.graph), graphs = true;
    for (const NamedTensor& t : file.tensors)
      if (!graphs) add(plain_name(t.stored), volume(t.shape), t.bytes, t.shape.size());
    for (const auto& [name, part] : file.parts) add(part);
  }
  std::vector<Precision> sorted() && {
    std::stable_sort(all_.begin(), all_.end(),
                     [](const Precision& a, const Precision& b) { return a.bytes > b.bytes; });
    return std::move(all_);
  }

 private:
  Precision& of(const std::string& name) {
    for (Precision& p : all_)
      if (p.name == name) return p;
    all_.push_back({name});
    return all_.back();
  }

  // Functions share weights: bytes that were counted are not counted again.
  bool first_time(const Tensor& t) { return seen_.insert(t.data()).second; }

  void add(const Graph& graph) {
    std::set<std::size_t> stored, expanded_further;  // inputs of compressed constants
    auto compressed = [](const Node& node) { return node.op->name.starts_with("constexpr_"); };
    for_each_node(graph.body, [&](const Node& node) {
      if (!compressed(node)) return;
      for (ValueId v : node.inputs)
        if (v != no_value) (graph.value(v).is_constant() ? stored : expanded_further).insert(index(v));
    });
    std::vector<std::string> names(graph.value_count());
    std::vector<std::uint64_t> bytes(graph.value_count(), 0);
    for_each_node(graph.body, [&](const Node& node) {
      if (compressed(node)) add_compressed(graph, node, names, bytes, expanded_further);
    });
    for (std::size_t i = 0; i < graph.value_count(); ++i)
      if (!stored.contains(i)) add_plain(graph.value(ValueId(i)).constant);
  }

  void add_plain(const Tensor& t) {
    bool counts = t && t.rank() >= 1 && t.size() > 0 &&
                  (is_float(t.dtype()) || (is_integer(t.dtype()) && bits_of(t.dtype()) <= 8));
    if (counts && first_time(t)) add(stored_name(t.dtype()), t.size(), t.bytes(), t.rank());
  }

  // names and bytes go along chains, so that a weight is counted once, at the end of its chain.
  void add_compressed(const Graph& graph, const Node& node, std::vector<std::string>& names,
                      std::vector<std::uint64_t>& bytes, const std::set<std::size_t>& expanded_further) {
    std::uint64_t sum = 0;
    for (ValueId v : node.inputs)
      if (v != no_value)
        sum += graph.value(v).is_constant() ? graph.value(v).constant.bytes() : bytes[index(v)];
    bool mask_first = node.op->name == "constexpr_lut_to_sparse" ||
                      node.op->name == "constexpr_sparse_blockwise_shift_scale";
    ValueId source = node.inputs[mask_first ? 1 : 0];
    const Tensor* data = graph.value(source).is_constant() ? &graph.value(source).constant : nullptr;
    std::string name = data                           ? name_of_compressed(node, *data)
                       : names[index(source)].empty() ? "Compressed"
                                                      : names[index(source)];
    for (ValueId v : node.outputs) names[index(v)] = name, bytes[index(v)] = sum;
    ValueId last = node.outputs.back();  // the sparse kinds give mask and values
    bool end = std::none_of(node.outputs.begin(), node.outputs.end(),
                            [&](ValueId v) { return expanded_further.contains(index(v)); });
    const Type& type = graph.type(last);
    if (end && type.is_concrete() && (!data || first_time(*data)))
      add(name, volume(type.shape), sum, type.rank());
  }

  static std::string name_of_compressed(const Node& node, const Tensor& data) {
    std::string_view op = node.op->name;
    if (op.find("lut") != std::string_view::npos) return text("Palettized{}", bits_of(data.dtype()));
    if (op == "constexpr_sparse_to_dense") return "Sparse" + stored_name(data.dtype());
    return stored_name(data.dtype());
  }

  std::vector<Precision> all_ = {};
  std::set<const void*> seen_ = {};
};

std::string quantization_of(const ModelFile& file, std::span<const Precision> precisions) {
  std::int64_t all = 0;
  for (const Precision& p : precisions) all += p.of_matrices;
  bool matrices = all > 0;
  if (!matrices)
    for (const Precision& p : precisions) all += p.parameters;
  std::string majority = all > 0 ? "Mixed" : "";
  bool agrees = false;
  for (const Precision& p : precisions) {
    std::int64_t n = matrices ? p.of_matrices : p.parameters;
    if (n > 0 && static_cast<double>(n) >= 0.6 * static_cast<double>(all)) majority = p.name;
    agrees = agrees || (n > 0 && file.quantization_hint.starts_with(p.name));
  }
  const std::string& hint = file.quantization_hint;
  bool take =
      !hint.empty() && (majority == "Mixed" ? agrees : majority.empty() || hint.starts_with(majority));
  return take ? hint : majority;
}

}  // namespace

const Function* default_function_of(const ModelFile& file) {
  for (const Function& function : file.functions)
    if (function.name == file.default_function) return &function;
  return file.functions.empty() ? nullptr : &file.functions.front();
}

bool counts_layers(const ModelFile& file, const Function& function) {
  return !function.graph || file.type.starts_with("neuralNetwork");
}

std::string why_not_run(const ModelFile& file, const Function& function) {
  if (function.graph || function.conversion) return "";
  if (!function.why_not.empty()) return function.why_not;
  if (file.parts.empty()) return text("models of type {} are not run by this version", file.type);
  for (const auto& [name, part] : file.parts)
    if (const Function* f = default_function_of(part))
      if (std::string why = why_not_run(part, *f); !why.empty())
        return text("part '{}': {}", printable(name), why);
  return "";
}

std::vector<std::pair<std::string, std::int64_t>> operation_counts(const ModelFile& file,
                                                                   const Function& function) {
  std::vector<std::pair<std::string, std::int64_t>> counts;
  if (counts_layers(file, function)) counts = file.layers;
  else {
    std::map<std::string, std::int64_t> found;
    for_each_node(function.graph->body, [&](const Node& node) { ++found[std::string(node.op->name)]; });
    counts.assign(found.begin(), found.end());
  }
  std::stable_sort(counts.begin(), counts.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  return counts;
}

Metadata metadata_of(const ModelFile& file) {
  Metadata m;
  m.format = file.format, m.type = file.type, m.name = file.name, m.author = file.author,
  m.license = file.license;
  m.version = file.version, m.description = file.description, m.spec_version = file.spec_version,
  m.user = file.user;
  if (const Function* function = default_function_of(file))
    m.interface = function->interface, m.opset = function->opset;
  for (const Function& function : file.functions) m.functions.push_back(function.name);
  Weights weights;
  weights.add(file);
  m.precisions = std::move(weights).sorted();
  for (const Precision& p : m.precisions) m.parameters += p.parameters, m.bytes += p.bytes;
  m.quantization = quantization_of(file, m.precisions);
  return m;
}

std::vector<std::pair<std::string, std::string>> words_of(const Metadata& m) {
  return {{"format", m.format},   {"quantization", m.quantization},
          {"type", m.type},       {"name", m.name},
          {"author", m.author},   {"license", m.license},
          {"version", m.version}, {"description", m.description},
          {"opset", m.opset}};
}

}  // namespace tl
