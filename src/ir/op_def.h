// SPDX-License-Identifier: Apache-2.0
// One operation, described once. The verifier, the passes, the backends, the readers and writers, the
// language and the tests all read this struct; none keeps a list of operations of its own.
#pragma once
#include <array>
#include <initializer_list>
#include <memory>

#include "ir/attr.h"
#include "ir/tensor.h"

namespace tl {

template <class T, std::size_t N>
class List {  // a small constexpr vector, so that a definition reads as one designated initializer
 public:
  constexpr List() = default;
  constexpr List(std::initializer_list<T> items) {
    for (const T& item : items) items_[size_++] = item;
  }
  constexpr const T* begin() const { return items_.data(); }
  constexpr const T* end() const { return items_.data() + size_; }
  constexpr std::size_t size() const { return size_; }
  constexpr const T& operator[](std::size_t i) const { return items_[i]; }

 private:
  std::array<T, N> items_{};
  std::size_t size_ = 0;
};

enum class Arity : std::uint8_t { one, optional, many };  // many: any number, and only as the last input
struct InputDef {
  std::string_view name = {};
  Arity arity = Arity::one;
  constexpr InputDef() = default;
  constexpr InputDef(const char* n, Arity a = Arity::one) : name(n), arity(a) {}
};

// ---- inference

struct BlockTypes {  // what the nested blocks of a node take and give
  std::vector<Type> inputs = {}, outputs = {};
};

struct InferCall {
  std::span<const Type> types;            // per declared input, then the rest of a `many`
  std::span<const Tensor* const> values;  // where the value is constant, else null; as long as types
  std::span<const bool> given;            // false: an optional input that is absent (its type means nothing)
  const Attrs& attrs;
  std::span<const BlockTypes> blocks = {};
  const Type& type(std::size_t i) const { return types[i]; }
  bool has(std::size_t i) const { return i < given.size() && given[i]; }
  const Tensor* value(std::size_t i) const { return i < values.size() ? values[i] : nullptr; }
};
// One type per output. Dimensions that cannot be known are `unknown`. Throws Error where inputs do not fit.
// Never sees an unranked input: those make every output unranked with the element type of `dtype_hint`.
using Infer = std::vector<Type>(const InferCall&);

// ---- the float64 reference

struct Array {  // every element type as double; the runner rounds the outputs to their type
  DType dtype = DType::f32;
  Shape shape = {};
  std::vector<double> data = {};
  std::int64_t size() const { return static_cast<std::int64_t>(data.size()); }
};
struct ReferenceCall {
  std::span<const Array* const> in;  // null: absent
  const Attrs& attrs;
  std::span<Array>
      out;  // dtype set; shape set and data sized where inference knew it, else the reference sets both
  std::uint64_t seed = 0;  // of random operations, different for every node and run
};
using Reference = void(const ReferenceCall&);

// ---- operations on whole values: lists, states, dictionaries

struct TensorList {
  std::vector<Tensor> items = {};
  Type type = {};
};
struct StateCell {  // the content of a state; owned by the caller of a plan
  Tensor value = {};
};
struct Dictionary {  // classifier outputs: keys are strings or int64, values float64
  Tensor keys = {}, values = {};
};
using RunValue = std::variant<std::monostate, Tensor, TensorList, std::shared_ptr<StateCell>, Dictionary>;
struct EvaluateCall {
  std::span<const RunValue* const> in;  // null: absent
  const Attrs& attrs;
  std::span<const Type> types;  // inferred types of the outputs
  std::span<RunValue> out;
};
using Evaluate = void(const EvaluateCall&);

// ---- gradients and decompositions, written over graph values

class Ex;
struct GradientCall {
  std::span<const Ex> in;    // per input
  std::span<const Ex> out;   // the node's outputs
  std::span<const Ex> grad;  // what arrives, per output; an output nobody uses has none (Ex{} is false)
  const Attrs& attrs;
};
// One gradient per input; Ex{} where there is none (integers, conditions). Broadcast inputs are summed by the
// caller.
using Gradient = std::vector<Ex>(const GradientCall&);
using Decompose = std::vector<Ex>(std::span<const Ex> in, const Attrs& attrs);

// ---- facts for others

struct MilNode;                        // an operation as a Core ML file has it (ir/mil.h)
struct MilWrite;                       // a node on its way into such a file
using MilUpgrade = void(MilNode&);     // older opsets and odd forms to this definition
using MilDowngrade = void(MilWrite&);  // the way back: this definition as files of an opset have it
struct MilParameter {                  // of a file, where it is not simply an attribute of the definition
  std::string_view name = {};
  int since = 5;  // older opsets do not have it
  std::optional<DType> dtype =
      {};             // its element type, where that is not int32, bool or the inputs' float type
  bool tied = false;  // a number of the inputs' float type in every opset
};
struct MilFacts {
  std::string_view name = {};  // empty: not an operation of MIL; the writer uses the decomposition
  int since = 5;               // CoreML5 is iOS 15
  MilUpgrade* upgrade = nullptr;
  MilDowngrade* downgrade = nullptr;
  List<MilParameter, 6> parameters = {};
  int half = 5;    // since which opset it takes fp16
  int narrow = 7;  // since which opset it takes integers of 8 and 16 bits
};

enum class Fit : std::uint8_t { native, conditional, never };
struct AneFacts {  // would the Neural Engine run it? Filled in with sources by the report's rules
  Fit fit = Fit::never;
  std::string_view note = {};
  std::string_view source = {};
};

enum class Traits : std::uint8_t {
  none = 0,
  elementwise = 1,  // a row of elementwise.def: one output element per broadcast input element
  side_effect = 2,  // must run, in program order, though nobody reads an output
  random = 4,       // never merged or folded
  structural = 8,   // has blocks: the executor runs it
  dequantize = 16,  // expands a compressed constant
  view = 32,        // the same elements in the same order with another shape
};
constexpr Traits operator|(Traits a, Traits b) { return Traits(std::uint8_t(a) | std::uint8_t(b)); }
constexpr bool has(Traits all, Traits one) { return (std::uint8_t(all) & std::uint8_t(one)) != 0; }

struct Sample {  // inputs for the op test where random tensors of small shapes do not do
  List<std::string_view, 6> inputs =
      {};  // types: "fp32[2, 3]"; integers "int32[3] 0..4" draw from a range, or "= [1, 2]"
  std::string_view attrs = {};  // "axis=-1, keep_dims=true"
};

struct OpDef {
  std::string_view name = {};  // IR name, language builtin, `tl ops NAME`, test name
  std::string_view doc = {};   // one sentence
  List<InputDef, 12> inputs = {};
  List<AttrDef, 14> attrs = {};  // with defaults; also the builtin's keyword arguments
  List<std::string_view, 4> outputs = {"output"};
  Infer* infer = nullptr;
  Gradient* gradient = nullptr;    // null: that of the decomposition, else not differentiable
  Decompose* decompose = nullptr;  // null: primitive
  Reference* reference = nullptr;  // obvious and slow; the oracle of every kernel
  Evaluate* evaluate = nullptr;    // instead of a reference: works on whole values
  Traits traits = Traits::none;
  MilFacts mil = {};
  AneFacts ane = {};
  double near_zero = 1e-36;  // a kernel may be off by a few units in the last place, or by this much
  List<Sample, 6> samples = {};
};

std::span<const OpDef* const> all_ops();
const OpDef* op_named(std::string_view name);  // null if there is none
const OpDef& find_op(std::string_view name);   // throws Error with a suggestion

}  // namespace tl
