// SPDX-License-Identifier: Apache-2.0
// Reads, rewrites the graphs function by function, writes.
#include "model/convert_file.h"

#include <algorithm>
#include <charconv>

#include "base/error.h"
#include "base/text.h"
#include "format/coreml/package_write.h"
#include "format/safetensors/safetensors.h"
#include "ir/mil.h"
#include "model/feature.h"
#include "model/model.h"
#include "model/pipeline_name.h"
#include "model/program_form.h"
#include "model/split_embedding.h"
#include "pass/channels_first.h"
#include "pass/fold_batch_norm.h"
#include "pass/fuse_gelu.h"
#include "pass/fuse_norm.h"
#include "pass/limit_mask.h"
#include "pass/lookups_first.h"
#include "pass/precision.h"
#include "pass/shape_math.h"
#include "pass/simplify.h"
#include "pass/specialize.h"
#include "pass/whole_index.h"
#include "plan/node.h"

namespace tl {
namespace {

constexpr std::int64_t largest_shape_math = 4096;  // elements: what is computed for shapes, and not weights

// ---- shapes

Shape dims_of(std::string_view words) {
  Shape shape;
  for (std::string_view word : split(words, ',')) {
    Dim d = 0;
    auto [end, wrong] = std::from_chars(word.data(), word.data() + word.size(), d);
    if (wrong != std::errc() || end != word.data() + word.size() || d < 0)
      throw Error(Code::bad_use, text("'{}' is not a shape such as 1,3,224,224", printable(words)));
    shape.push_back(d);
  }
  return shape;
}

std::pair<std::string, Shape> fixed_shape(const std::string& given) {
  std::size_t at = given.find('=');
  if (at == std::string::npos)
    throw Error(Code::bad_use,
                text("--fix-shape: '{}' is not NAME=DIMS, such as image=1,3,224,224", printable(given)));
  return {given.substr(0, at), dims_of(std::string_view(given).substr(at + 1))};
}

bool allows(const Feature& f, const Shape& shape) {
  if (!f.enumerated.empty())
    return shape == f.shape ||
           std::find(f.enumerated.begin(), f.enumerated.end(), shape) != f.enumerated.end();
  if (shape.size() != f.ranges.size()) return false;
  for (std::size_t d = 0; d < shape.size(); ++d)
    if (shape[d] < f.ranges[d].lowest || (f.ranges[d].highest >= 0 && shape[d] > f.ranges[d].highest))
      return false;
  return true;
}

void set_shape(Feature& feature, const Shape& shape) {
  if (feature.shape.size() != shape.size() && !feature.shape.empty())
    throw Error(Code::bad_input, text("input '{}' has {} dimensions, {} are given", printable(feature.name),
                                      feature.shape.size(), shape.size()));
  feature.shape = shape;
  feature.ranges.clear();
  feature.enumerated.clear();
}

// Computes what is small, and all that is no larger than what it is computed from.
pass::Fold shape_fold(const Machine& machine, bool all) {
  return [&machine, all](const Node& node, std::span<const Tensor* const> inputs,
                         std::span<const Type> out) -> std::vector<Tensor> {
    std::int64_t most = largest_shape_math, given = 0;
    for (const Tensor* t : inputs) given += t ? t->size() : 0;
    if (all) most = std::max(most, given);
    for (const Type& type : out)
      if (!type.is_tensor() || !type.is_concrete() || volume(type.shape) > most) return {};
    if (has(node.op->traits, Traits::dequantize)) return {};
    return plan::run_node(*node.op, node.attrs, inputs, machine, 0);
  };
}

void apply_shapes(Function& f, const FileConversion& how, const Machine& machine) {
  for (const std::string& given : how.shapes) {
    auto [name, shape] = fixed_shape(given);
    auto found = std::find_if(f.interface.inputs.begin(), f.interface.inputs.end(),
                              [&, n = name](const Feature& x) { return x.name == n; });
    if (found == f.interface.inputs.end())
      throw Error(Code::bad_input, text("there is no input '{}'", printable(name)));
    if (found->flexible() && !allows(*found, shape))
      throw Error(Code::bad_input,
                  text("input '{}' takes {}, not {}", printable(name), describe(*found), text_of(shape)));
    set_shape(*found, shape);
  }
  for (Feature& feature : f.interface.inputs)
    if (how.batch > 0 && feature.kind == FeatureKind::tensor && !feature.shape.empty()) {
      Shape shape = feature.shape;
      shape[0] = how.batch;
      set_shape(feature, shape);
    }
  pass::Fold fold = shape_fold(machine, how.engine);
  f.graph = pass::specialize(*f.graph, input_types(*f.graph, f.interface), fold);
  pass::drop_unused(*f.graph);
  describe_outputs(*f.graph, f.interface);
}

// ---- weights

Graph dense(const Graph& graph, const Machine& machine) {
  pass::Fold fold = [&](const Node& node, std::span<const Tensor* const> inputs,
                        std::span<const Type>) -> std::vector<Tensor> {
    if (!has(node.op->traits, Traits::dequantize)) return {};
    return plan::run_node(*node.op, node.attrs, inputs, machine, 0);
  };
  std::vector<Type> types;
  for (ValueId v : graph.body.inputs) types.push_back(graph.type(v));
  return pass::specialize(graph, types, fold);
}

// As the Neural Engine wants what is fp16 already.
void arrange(Graph& graph) {
  pass::channels_first(graph);
  pass::rms_norms_as_layer_norms(graph);
  pass::hold_epsilons(graph);
  pass::lookups_first(graph);
  pass::drop_no_ops(graph);
  verify(graph, "--for ane");
}

bool never_half(const OpDef& op) { return op.mil.half > newest_opset; }

void rewrite(Function& f, const FileConversion& how, const Machine& machine) {
  if (f.opset.empty()) give_program_form(f, shape_fold(machine, false));  // an older network
  bool flexible = std::any_of(f.interface.inputs.begin(), f.interface.inputs.end(),
                              [](const Feature& x) { return x.flexible(); });
  if (!how.shapes.empty() || how.batch > 0 || (how.engine && !flexible)) apply_shapes(f, how, machine);
  if (how.dense) f.graph = dense(*f.graph, machine);
  if (how.engine) {
    pass::limit_masks(*f.graph);
    pass::fuse_norms(*f.graph);
    pass::fuse_gelus(*f.graph);
    pass::fold_batch_norms(*f.graph);
  }
  if (how.precision == "auto") return;
  pass::whole_shape_math(*f.graph);
  pass::cast_indices_first(*f.graph);
  f.graph = pass::with_precision(*f.graph, how.precision == "fp16" ? DType::f16 : DType::f32, never_half);
  pass::drop_no_ops(*f.graph);
  pass::drop_unused(*f.graph);
  if (how.engine) arrange(*f.graph);
}

// ---- formats

bool ends_with(std::string_view path, std::string_view ending) {
  while (path.size() > 1 && path.back() == '/') path.remove_suffix(1);
  return path.size() > ending.size() && path.substr(path.size() - ending.size()) == ending;
}

void to_safetensors(const ModelFile& file, const std::string& out, const FileConversion& how) {
  if (!how.shapes.empty() || how.batch > 0)
    throw Error(Code::bad_use, "a .safetensors file holds no program: shapes cannot be fixed in it");
  if (!file.parts.empty())
    throw Error(Code::unsupported,
                text("{}: the weights of a pipeline are not converted: convert its parts", file.path));
  if (file.tensors.empty()) throw Error(Code::bad_input, text("{}: there are no weights in it", file.path));
  safetensors::NamedArrays arrays;
  for (const NamedTensor& t : file.tensors) {
    if (!t.readable)
      throw Error(Code::unsupported,
                  text("{}: tensor '{}': {} is not read as numbers", file.path, printable(t.name), t.stored));
    Tensor tensor = file.read_tensor(t);
    if (how.precision != "auto" && is_float(tensor.dtype()))
      tensor = converted(tensor, how.precision == "fp16" ? DType::f16 : DType::f32);
    arrays.emplace_back(t.name, std::move(tensor));
  }
  safetensors::write_safetensors(out, arrays, file.user);
}

void add_split_functions(ModelFile& file, const FileConversion& how) {
  std::vector<Function> made;
  for (const Function& f : file.functions)
    for (Function& part : split_embedding(f)) made.push_back(std::move(part));
  if (made.empty() && how.notice)
    how.notice(
        text("{}: no large table is looked up by an input of fixed shape: nothing is split", file.path));
  for (Function& part : made) file.functions.push_back(std::move(part));
}

Renamed make_ready(ModelFile& file, const FileConversion& how, const Runtime& runtime);

Renamed make_parts_ready(ModelFile& file, const FileConversion& how, const Runtime& runtime) {
  if (!how.shapes.empty() || how.batch > 0 || how.engine || how.split_embedding)
    throw Error(Code::unsupported,
                "it is a pipeline: the shapes and functions of its parts stay as they are");
  Renamed changed;
  for (auto& [name, part] : file.parts)
    with_note([&name = name] { return text("part '{}'", printable(name)); },
              [&, &part = part] {
                for (auto& each : make_ready(part, how, runtime)) changed.push_back(std::move(each));
              });
  rename_in_pipeline(file, changed);
  return changed;
}

// Gives the features that have other names now.
Renamed make_ready(ModelFile& file, const FileConversion& how, const Runtime& runtime) {
  if (!file.parts.empty()) return make_parts_ready(file, how, runtime);
  if (file.message.type) {
    if (how.notice)
      how.notice(
          text("a {} is no program: its message is written as it was read, its description anew", file.type));
    return {};
  }
  Renamed changed;
  for (Function& f : file.functions) {
    if (!f.graph)
      throw Error(Code::unsupported,
                  f.why_not.empty() ? text("a {} cannot be written as a program", file.type) : f.why_not);
    rewrite(f, how, runtime.machine());
    for (auto& each : give_plain_names(f)) changed.push_back(std::move(each));
  }
  return changed;
}

void to_package(ModelFile& file, const std::string& out, const FileConversion& how, const Runtime& runtime) {
  if (file.functions.empty())
    throw Error(Code::unsupported,
                text("{}: a {} file holds weights and no program, so it cannot become a package", file.path,
                     file.format));
  Renamed changed;
  with_note([&] { return file.path; }, [&] { changed = make_ready(file, how, runtime); });
  std::sort(changed.begin(), changed.end());
  changed.erase(std::unique(changed.begin(), changed.end()), changed.end());
  for (const auto& [old, now] : changed)
    if (how.notice)
      how.notice(
          text("'{}' is not a name that programs may have: it is '{}' from now on", printable(old), now));
  if (how.split_embedding && !file.message.type) add_split_functions(file, how);
  write_package(file, out);
}

}  // namespace

void save_model_file(ModelFile file, const std::string& out, const FileConversion& how,
                     const Runtime& runtime) {
  if (how.precision != "auto" && how.precision != "fp16" && how.precision != "fp32")
    throw Error(Code::unsupported, text("files are written in fp16 or fp32, not {}", how.precision));
  if (ends_with(out, ".mlpackage")) return to_package(file, out, how, runtime);
  if (ends_with(out, ".safetensors")) return to_safetensors(file, out, how);
  throw Error(
      Code::bad_use,
      text("{}: OUT must end in .mlpackage or .safetensors: other formats are not written", printable(out)));
}

void convert_file(const std::string& in, const std::string& out, const FileConversion& how,
                  const Runtime& runtime) {
  save_model_file(read_model(in), out, how, runtime);
}

}  // namespace tl
