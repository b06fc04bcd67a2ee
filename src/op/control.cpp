// SPDX-License-Identifier: Apache-2.0
// Branches, loops, states and classifier outputs. The executor runs the blocks of `cond` and `while_loop`;
// here stands what their types must be.
#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "base/text.h"
#include "ir/mil.h"
#include "op/infer.h"
#include "op/ops.h"

namespace tl {
namespace {

void need_truth(const Type& type, std::string_view what) {
  bool one = type.is_tensor() && type.dtype == DType::boolean &&
             std::all_of(type.shape.begin(), type.shape.end(), [](Dim d) { return d == 1 || !is_known(d); });
  if (!one) throw Error(Code::bad_input, text("{} is {}; it must be one bool", what, text_of(type)));
}

std::vector<Type> infer_cond(const InferCall& call) {
  need_truth(call.type(0), "the condition");
  need(call.blocks.size() == 2, "needs two blocks: then and else");
  const BlockTypes &yes = call.blocks[0], &no = call.blocks[1];
  need(yes.inputs.empty() && no.inputs.empty(), "its blocks take no inputs");
  need(yes.outputs.size() == no.outputs.size(), "its branches give different numbers of values");
  std::vector<Type> out;
  for (std::size_t i = 0; i < yes.outputs.size(); ++i) out.push_back(join(yes.outputs[i], no.outputs[i]));
  return out;
}

std::vector<Type> infer_while_loop(const InferCall& call) {
  need(call.blocks.size() == 2, "needs two blocks: condition and body");
  const BlockTypes &condition = call.blocks[0], &body = call.blocks[1];
  std::size_t n = call.types.size();
  if (condition.inputs.size() != n || body.inputs.size() != n || body.outputs.size() != n)
    throw Error(Code::bad_input,
                text("has {} loop variables, but its condition takes {} and its body {} and gives {}", n,
                     condition.inputs.size(), body.inputs.size(), body.outputs.size()));
  need(condition.outputs.size() == 1, "its condition must give one value");
  need_truth(condition.outputs[0], "the condition");
  std::vector<Type> out;
  for (std::size_t i = 0; i < n; ++i) out.push_back(join(call.type(i), body.outputs[i]));
  return out;
}

// ---- states

std::vector<Type> infer_read_state(const InferCall& call) {
  need(call.type(0).kind == Type::Kind::state, "reads a state, not a tensor");
  return {Type(call.type(0).dtype, call.type(0).shape)};
}

std::vector<Type> infer_write_state(const InferCall& call) {
  const Type &state = call.type(0), &data = call.type(1);
  need(state.kind == Type::Kind::state, "writes a state, not a tensor");
  bool fits = data.is_tensor() && data.dtype == state.dtype && (!data.ranked || data.rank() == state.rank());
  for (std::size_t d = 0; fits && data.ranked && d < state.rank(); ++d)
    fits = data.shape[d] == state.shape[d] || !is_known(data.shape[d]) || !is_known(state.shape[d]);
  if (!fits) throw Error(Code::bad_input, text("{} does not fit into {}", text_of(data), text_of(state)));
  return {};
}

StateCell& cell_of(const RunValue* value) {
  const auto* state = value ? std::get_if<std::shared_ptr<StateCell>>(value) : nullptr;
  need(state && *state, "no state was given");
  return **state;
}

Tensor zeros(DType dtype, const Shape& shape) {
  Tensor tensor(dtype, shape);
  if (tensor.bytes()) std::memset(tensor.writable_data(), 0, tensor.bytes());
  return tensor;
}

void evaluate_read_state(const EvaluateCall& call) {
  StateCell& cell = cell_of(call.in[0]);
  if (!cell.value) cell.value = zeros(call.types[0].dtype, call.types[0].shape);
  call.out[0] = cell.value;  // shares its bytes; whoever writes the cell next copies
}

void evaluate_write_state(const EvaluateCall& call) {
  StateCell& cell = cell_of(call.in[0]);
  const Tensor& data = std::get<Tensor>(*call.in[1]);
  if (cell.value && cell.value.type() != data.type())
    throw Error(Code::bad_input,
                text("{} does not fit into a state of {}", text_of(data.type()), text_of(cell.value.type())));
  // The data may lie in memory that the next step uses again, so it is copied; a snapshot somebody still
  // holds is not written over.
  if (!cell.value || cell.value.storage().use_count() > 1) cell.value = Tensor(data.dtype(), data.shape());
  if (data.bytes()) std::memmove(cell.value.writable_data(), data.data(), data.bytes());
}

// ---- classifier

std::size_t class_count(const Attrs& attrs) {
  need(attrs.has("classes") != attrs.has("class_ids"),
       "needs either classes (words) or class_ids (integers)");
  return attrs.has("classes") ? attrs.words("classes").size() : attrs.integers("class_ids").size();
}

std::vector<Type> infer_classify(const InferCall& call) {
  std::size_t n = class_count(call.attrs);
  const Type& x = call.type(0);
  need(x.is_tensor() && is_float(x.dtype), "takes floating probabilities");
  if (x.is_concrete() && volume(x.shape) != static_cast<std::int64_t>(n))
    throw Error(Code::bad_input, text("has {} classes for {} probabilities", n, volume(x.shape)));
  DType key = call.attrs.has("classes") ? DType::string : DType::i64;
  return {Type(key, {}), dictionary_of(key, DType::f64)};
}

Tensor class_labels(const Attrs& attrs) {
  if (attrs.has("classes")) {
    const std::vector<std::string>& words = attrs.words("classes");
    return from_strings(words, {static_cast<Dim>(words.size())});
  }
  const std::vector<std::int64_t>& ids = attrs.integers("class_ids");
  return from_integers(ids, DType::i64, {static_cast<Dim>(ids.size())});
}

Tensor element(const Tensor& labels, std::size_t i) {
  if (labels.dtype() == DType::string) return from_strings({labels.as<std::string>()[i]}, {});
  std::int64_t id = labels.as<std::int64_t>()[i];
  return from_integers({&id, 1}, DType::i64, {});
}

void evaluate_classify(const EvaluateCall& call) {
  std::vector<double> p = to_doubles(std::get<Tensor>(*call.in[0]));
  if (p.empty() || p.size() != class_count(call.attrs))
    throw Error(Code::bad_input,
                text("has {} classes for {} probabilities", class_count(call.attrs), p.size()));
  Tensor labels = class_labels(call.attrs);
  auto best =
      static_cast<std::size_t>(std::max_element(p.begin(), p.end()) - p.begin());  // the first of equals
  call.out[0] = element(labels, best);
  call.out[1] = Dictionary{labels, from_doubles(p, DType::f64, {static_cast<Dim>(p.size())})};
}

// MIL gives the classes as a list of scalars or as one tensor, of strings or integers.
void upgrade_classify(MilNode& node) {
  std::vector<std::string> words;
  std::vector<std::int64_t> ids;
  if (auto found = node.inputs.find("classes"); found != node.inputs.end())
    for (ValueId v : found->second) {
      const Tensor& t = node.place.graph->value(v).constant;
      need(static_cast<bool>(t), "classes must be constant");
      if (t.dtype() == DType::string)
        words.insert(words.end(), t.as<std::string>().begin(), t.as<std::string>().end());
      else
        for (std::int64_t id : to_integers(t)) ids.push_back(id);
    }
  need(words.empty() || ids.empty(), "classes must be all strings or all integers");
  node.drop("classes");
  if (!ids.empty()) node.set("class_ids", std::move(ids));
  else if (!words.empty()) node.set("classes", std::move(words));
}

void downgrade_classify(MilWrite& out) {
  Tensor labels = class_labels(out.node.attrs);
  std::vector<MilWrite::Operand> classes;
  for (std::size_t i = 0; i < static_cast<std::size_t>(labels.size()); ++i)
    classes.emplace_back(element(labels, i));
  out.drop("class_ids");
  out.set("classes", std::move(classes), true);
}

}  // namespace

constinit const OpDef ops::cond{
    .name = "cond",
    .doc = "Runs one of two blocks, as a bool says, and gives what that block gives.",
    .inputs = {"pred"},
    .outputs = {},
    .infer = infer_cond,
    .traits = Traits::structural,
    .mil = {"cond"},
};

constinit const OpDef ops::while_loop{
    .name = "while_loop",
    .doc = "Runs its body on the loop variables as long as its condition holds, and gives their last values.",
    .inputs = {{"loop_vars", Arity::many}},
    .outputs = {},
    .infer = infer_while_loop,
    .traits = Traits::structural,
    .mil = {"while_loop"},
};

constinit const OpDef ops::read_state{
    .name = "read_state",
    .doc = "The content of a state, as it is now.",
    .inputs = {"input"},
    .infer = infer_read_state,
    .evaluate = evaluate_read_state,
    .traits = Traits::side_effect,
    .mil = {"read_state", 8},
};

constinit const OpDef ops::write_state{
    .name = "write_state",
    .doc = "Replaces the content of a state.",
    .inputs = {"input", "data"},
    .outputs = {},
    .infer = infer_write_state,
    .evaluate = evaluate_write_state,
    .traits = Traits::side_effect,
    .mil = {"write_state", 8},
};

constinit const OpDef ops::classify{
    .name = "classify",
    .doc = "The label of the greatest probability, and a dictionary from label to probability.",
    .inputs = {"probabilities"},
    .attrs = {{"classes", AttrKind::words, absent}, {"class_ids", AttrKind::integers, absent}},
    .outputs = {"class_label", "class_label_probs"},
    .infer = infer_classify,
    .evaluate = evaluate_classify,
    .mil = {.name = "classify",
            .upgrade = upgrade_classify,
            .downgrade = downgrade_classify,
            .half = newest_opset + 1},
    .samples = {{.inputs = {"fp32[3]"}, .attrs = "classes=[\"a\", \"b\", \"c\"]"},
                {.inputs = {"fp32[2]"}, .attrs = "class_ids=[7, 9]"}},
};

}  // namespace tl
