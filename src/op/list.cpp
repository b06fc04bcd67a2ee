// SPDX-License-Identifier: Apache-2.0
// Lists of tensors, as loops of Core ML use them. A list is a value: an operation that changes one gives a
// new list, whose elements share their bytes with the old one's.
#include <cstring>

#include "base/error.h"
#include "base/text.h"
#include "ir/mil.h"
#include "op/infer.h"
#include "op/ops.h"

namespace tl {
namespace {

constexpr std::int64_t most_items = 1 << 24;

void need_list(const InferCall& call) {
  if (call.type(0).kind != Type::Kind::list)
    throw Error(Code::bad_input, text("takes a list, not {}", text_of(call.type(0))));
}

Type element_type(const Type& list) {
  Type type(list.dtype, list.shape);
  type.ranked = list.ranked;
  return type;
}

std::vector<Type> infer_make_list(const InferCall& call) {
  Type list = list_of(call.attrs.dtype("dtype"), call.attrs.integers("elem_shape"), unknown);
  for (Dim d : list.shape) need(d >= unknown, "elem_shape has a negative length");
  if (call.attrs.boolean("dynamic_length")) return {list};
  auto length = integer_values(call, 0);
  if (length && length->size() == 1) list.length = length->front();
  else if (!call.has(0)) list.length = 1;
  return {list};
}

std::vector<Type> infer_list_length(const InferCall& call) {
  need_list(call);
  return {Type(DType::i32, {})};
}

std::vector<Type> infer_list_read(const InferCall& call) {
  need_list(call);
  return {element_type(call.type(0))};
}

std::vector<Type> infer_list_gather(const InferCall& call) {
  need_list(call);
  const Type& indices = call.type(1);
  Type out = element_type(call.type(0));
  if (!out.ranked || !indices.ranked) return {unranked(out.dtype)};
  need_rank(call, 1, 1, 1);
  out.shape.insert(out.shape.begin(), indices.shape[0]);
  return {out};
}

// What a written element tells of the list: lengths that were unknown.
Type refined(const Type& list, DType dtype, std::span<const Dim> element) {
  Type out = list;
  if (dtype != list.dtype)
    throw Error(Code::bad_input, text("writes {} elements into {}", name_of(dtype), text_of(list)));
  if (!list.ranked) {
    out.ranked = true;
    out.shape.assign(element.begin(), element.end());
    return out;
  }
  bool fits = element.size() == list.rank();
  for (std::size_t d = 0; fits && d < list.rank(); ++d) {
    if (!is_known(list.shape[d])) out.shape[d] = element[d];
    else fits = element[d] == list.shape[d] || !is_known(element[d]);
  }
  if (!fits)
    throw Error(Code::bad_input, text("writes elements of {} into {}", text_of(element), text_of(list)));
  return out;
}

std::vector<Type> infer_list_write(const InferCall& call) {
  need_list(call);
  const Type& value = call.type(2);
  need(value.is_tensor(), "writes tensors only");
  return {value.ranked ? refined(call.type(0), value.dtype, value.shape) : call.type(0)};
}

std::vector<Type> infer_list_scatter(const InferCall& call) {
  need_list(call);
  const Type& value = call.type(2);
  if (!value.ranked) return {call.type(0)};
  need(value.is_tensor() && value.rank() >= 1, "needs a tensor of rank 1 or more, an element an index");
  return {refined(call.type(0), value.dtype, std::span(value.shape).subspan(1))};
}

// ---- evaluation

const Tensor& tensor_of(const RunValue* value) {
  const auto* tensor = value ? std::get_if<Tensor>(value) : nullptr;
  need(tensor && *tensor, "a tensor is missing");
  return *tensor;
}

const TensorList& list_of(const RunValue* value) {
  const auto* list = value ? std::get_if<TensorList>(value) : nullptr;
  need(list, "a list is missing");
  return *list;
}

std::int64_t number_of(const RunValue* value) {
  const Tensor& t = tensor_of(value);
  need(t.size() == 1, "needs one index");
  return to_integers(t).front();
}

// An element that nobody wrote is zeros, of the list's shape or of that of an element somebody did write.
Tensor zero_element(const TensorList& list) {
  Type type = list.type;
  for (const Tensor& t : list.items)
    if (t) type.shape = t.shape();
  if (!is_known(type.shape))
    throw Error(Code::bad_input, "reads an element that was never written, of unknown shape");
  Tensor zeros(type.dtype, type.shape);
  if (zeros.bytes()) std::memset(zeros.writable_data(), 0, zeros.bytes());
  return zeros;
}

std::size_t place_of(const TensorList& list, std::int64_t index) {
  auto n = static_cast<std::int64_t>(list.items.size());
  std::int64_t wrapped = index < 0 ? index + n : index;
  if (wrapped < 0 || wrapped >= n)
    throw Error(Code::bad_input, text("index {} is outside a list of {}", index, n));
  return static_cast<std::size_t>(wrapped);
}

Tensor item(const TensorList& list, std::int64_t index) {
  const Tensor& t = list.items[place_of(list, index)];
  return t ? t : zero_element(list);
}

void write_item(TensorList& list, std::int64_t index, Tensor value) {
  auto n = static_cast<std::int64_t>(list.items.size());
  if (index >= n) {
    if (is_known(list.type.length) || index >= most_items)
      throw Error(Code::bad_input, text("index {} is outside a list of {}", index, n));
    list.items.resize(static_cast<std::size_t>(index) + 1);
  }
  list.items[place_of(list, index)] = std::move(value);
}

// The values of a run lie in memory that is used again; what a list keeps is its own.
Tensor owned_copy(DType dtype, Shape shape, const std::byte* from) {
  Tensor copy(dtype, std::move(shape));
  if (copy.bytes()) std::memcpy(copy.writable_data(), from, copy.bytes());
  return copy;
}

void evaluate_make_list(const EvaluateCall& call) {
  std::int64_t n = call.in[0] ? number_of(call.in[0]) : 1;
  if (n < 0 || n > most_items) throw Error(Code::bad_input, text("cannot make a list of {}", n));
  TensorList list{std::vector<Tensor>(static_cast<std::size_t>(n)), call.types[0]};
  list.type.length = call.attrs.boolean("dynamic_length")
                         ? unknown
                         : n;  // the value's own: a file may declare the first length
  call.out[0] = std::move(list);
}

void evaluate_list_length(const EvaluateCall& call) {
  auto n = static_cast<std::int64_t>(list_of(call.in[0]).items.size());
  call.out[0] = from_integers({&n, 1}, DType::i32, {});
}

void evaluate_list_read(const EvaluateCall& call) {
  call.out[0] = item(list_of(call.in[0]), number_of(call.in[1]));
}

void evaluate_list_gather(const EvaluateCall& call) {
  const TensorList& list = list_of(call.in[0]);
  std::vector<std::int64_t> indices = to_integers(tensor_of(call.in[1]));
  Shape element = indices.empty() ? zero_element(list).shape() : item(list, indices.front()).shape();
  Shape shape = element;
  shape.insert(shape.begin(), static_cast<Dim>(indices.size()));
  Tensor out(list.type.dtype, shape);
  std::byte* to = indices.empty() ? nullptr : out.writable_data();
  for (std::int64_t i : indices) {
    Tensor t = item(list, i);
    if (t.shape() != element) throw Error(Code::bad_input, "gathers elements of different shapes");
    if (t.bytes()) std::memcpy(to, t.data(), t.bytes());
    to += t.bytes();
  }
  call.out[0] = std::move(out);
}

void evaluate_list_write(const EvaluateCall& call) {
  TensorList list = list_of(call.in[0]);
  const Tensor& value = tensor_of(call.in[2]);
  write_item(list, number_of(call.in[1]), owned_copy(value.dtype(), value.shape(), value.data()));
  call.out[0] = std::move(list);
}

void evaluate_list_scatter(const EvaluateCall& call) {
  TensorList list = list_of(call.in[0]);
  std::vector<std::int64_t> indices = to_integers(tensor_of(call.in[1]));
  const Tensor& value = tensor_of(call.in[2]);
  if (value.rank() < 1 || value.shape()[0] != static_cast<Dim>(indices.size()))
    throw Error(Code::bad_input, text("scatters {} into {} places", text_of(value.type()), indices.size()));
  Shape element(value.shape().begin() + 1, value.shape().end());
  std::size_t step = bytes_of(value.dtype(), volume(element));
  for (std::size_t i = 0; i < indices.size(); ++i)
    write_item(list, indices[i], owned_copy(value.dtype(), element, value.data() + i * step));
  call.out[0] = std::move(list);
}

// The element's shape comes as one value a dimension; a word stands for a length that is not known, and so
// does a value that is not constant.
void upgrade_make_list(MilNode& node) {
  std::vector<std::int64_t> shape;
  if (auto found = node.inputs.find("elem_shape"); found != node.inputs.end())
    for (ValueId v : found->second) {
      const Value& value = node.place.graph->value(v);
      if (!value.is_constant()) {
        need(value.type.rank() == 0, "elem_shape must be scalars");
        shape.push_back(unknown);
      } else if (value.constant.dtype() == DType::string) {
        shape.insert(shape.end(), static_cast<std::size_t>(value.constant.size()), unknown);
      } else {
        for (std::int64_t d : to_integers(value.constant)) shape.push_back(d);
      }
    }
  node.drop("elem_shape");
  node.set("elem_shape", std::move(shape));
}

void downgrade_make_list(MilWrite& out) {
  std::vector<MilWrite::Operand> shape;
  for (std::int64_t d : out.node.attrs.integers("elem_shape"))
    shape.emplace_back(is_known(d) ? from_integers({&d, 1}, DType::i32, {})
                                   : from_strings({text("d{}", shape.size())}, {}));
  out.set("elem_shape", std::move(shape));
}

}  // namespace

constinit const OpDef ops::make_list{
    .name = "make_list",
    .doc = "A list of tensors of one type, zeros until they are written.",
    .inputs = {{"init_length", Arity::optional}},
    .attrs = {{"elem_shape", AttrKind::integers, "[]"},
              {"dtype", AttrKind::word, "fp32"},
              {"dynamic_length", AttrKind::boolean, "true"}},
    .infer = infer_make_list,
    .evaluate = evaluate_make_list,
    .mil = {"make_list", 5, upgrade_make_list, downgrade_make_list},
    .samples = {{.inputs = {"int32[] = 3"}, .attrs = "elem_shape=[2]"}},
};

constinit const OpDef ops::list_length{
    .name = "list_length",
    .doc = "How many elements a list has.",
    .inputs = {"ls"},
    .infer = infer_list_length,
    .evaluate = evaluate_list_length,
    .mil = {"list_length"},
};

constinit const OpDef ops::list_read{
    .name = "list_read",
    .doc = "The element of a list at an index.",
    .inputs = {"ls", "index"},
    .infer = infer_list_read,
    .evaluate = evaluate_list_read,
    .mil = {"list_read"},
};

constinit const OpDef ops::list_gather{
    .name = "list_gather",
    .doc = "The elements of a list at some indices, stacked into one tensor.",
    .inputs = {"ls", "indices"},
    .infer = infer_list_gather,
    .evaluate = evaluate_list_gather,
    .mil = {"list_gather"},
};

constinit const OpDef ops::list_write{
    .name = "list_write",
    .doc = "The list with another element at an index; a list of dynamic length grows to it.",
    .inputs = {"ls", "index", "value"},
    .infer = infer_list_write,
    .evaluate = evaluate_list_write,
    .mil = {"list_write"},
};

constinit const OpDef ops::list_scatter{
    .name = "list_scatter",
    .doc = "The list with the rows of a tensor at some indices.",
    .inputs = {"ls", "indices", "value"},
    .infer = infer_list_scatter,
    .evaluate = evaluate_list_scatter,
    .mil = {"list_scatter"},
};

}  // namespace tl
