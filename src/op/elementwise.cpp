// SPDX-License-Identifier: Apache-2.0
// The elementwise family: every row of elementwise.def as an OpDef, with inference, gradient and reference,
// and as functions over blocks of doubles, integers and truth values.
#include "base/error.h"
#include "base/text.h"
#include "ir/mil.h"
#include "op/formulas.h"
#include "op/infer.h"
#include "op/row.h"
#include "op/scalar.h"

#define TL_FN inline

namespace tl {
namespace formula {
#include "op/formula.inc"
}  // namespace formula

namespace {

template <class F> std::vector<Type> infer(const InferCall& call) {
  constexpr std::size_t first = F::inputs == 3 ? 1 : 0;  // after the condition
  const Type& in = call.type(first);
  if (first && call.type(0).dtype != DType::boolean)
    throw Error(Code::bad_input, text("the condition is {}, not bool", text_of(call.type(0))));
  Type out(F::types::gives(in.dtype), in.shape);
  for (std::size_t k = 0; k < static_cast<std::size_t>(F::inputs); ++k) {
    const Type& type = call.type(k);
    need(type.is_tensor(), "takes tensors");
    if (k >= first && type.dtype != in.dtype)
      throw Error(Code::bad_input,
                  text("takes inputs of one element type, not {} and {}", text_of(in), text_of(type)));
    out.shape = broadcast(out.shape, type.shape);
  }
  if (!takes<typename F::types>(in.dtype))
    throw Error(Code::bad_input, text("does not take elements of type {}", name_of(in.dtype)));
  if constexpr (std::is_same_v<typename F::types, casts>) {
    out.dtype = call.attrs.dtype("dtype");
    if (!is_stored(out.dtype))
      throw Error(Code::bad_input, text("cannot give elements of type {}", name_of(out.dtype)));
  }
  return {out};
}

Ex kept(Ex grad) { return grad; }
Ex kept(Zero) { return {}; }
Ex kept(None) { return {}; }

template <class F> std::vector<Ex> gradient(const GradientCall& call) {
  auto f = formula::with<F>(call.attrs);
  const Ex &y = call.out[0], &g = call.grad[0];
  if constexpr (F::inputs == 1) return {kept(f.dx(call.in[0], y, g))};
  else if constexpr (F::inputs == 2)
    return {kept(f.da(call.in[0], call.in[1], y, g)), kept(f.db(call.in[0], call.in[1], y, g))};
  else return {Ex(), kept(f.da(call.in[0], g)), kept(f.db(call.in[0], g))};
}

// ---- blocks over double, int64 and bool

template <class T> Number<T> number(T x) { return x; }
bool number(bool x) { return x; }
template <class T> T plain(Number<T> x) { return x.v; }
bool plain(bool x) { return x; }

template <class F, class T>
void wide_block(const RowParams& params, std::int64_t n, void* out, const void* const* in) {
  F f = params.get<F>();
  auto x = [&](int k, std::int64_t i) { return number(static_cast<const T*>(in[k])[i]); };
  auto result = [&](std::int64_t i) {
    if constexpr (F::inputs == 1) return plain(f.y(x(0, i)));
    else if constexpr (F::inputs == 2) return plain(f.y(x(0, i), x(1, i)));
    else return plain(f.y(static_cast<const bool*>(in[0])[i], x(1, i), x(2, i)));
  };
  for (std::int64_t i = 0; i < n; ++i) static_cast<decltype(result(0))*>(out)[i] = result(i);
}

template <class F> RowParams params_of(const Attrs& attrs, bool exact) {
  RowParams params;
  params.set(formula::with<F>(attrs, exact));
  return params;
}

template <class F> constexpr ScalarRow scalar_row_of() {
  using Types = typename F::types;
  ScalarRow row{.params = params_of<F>, .test = std::is_same_v<Types, tests>};
  if constexpr (Types::reals) row.wide[0] = wide_block<F, double>;
  if constexpr (Types::wholes) row.wide[1] = wide_block<F, std::int64_t>;
  if constexpr (Types::truth) row.wide[2] = wide_block<F, bool>;
  return row;
}

// ---- the reference over arrays: each array becomes a tensor of the type that is exact for it

void reference(const OpDef& op, const ReferenceCall& call) {
  std::vector<Tensor> in;
  Shape shape;
  for (const Array* a : call.in) {
    in.push_back(from_doubles(a->data, a->dtype, a->shape));
    shape = broadcast(shape, a->shape);
  }
  Array& out = call.out[0];
  DType exact = is_float(out.dtype) ? DType::f64 : out.dtype;
  out.data = to_doubles(run_row(op, call.attrs, in, Type(exact, shape)));
  out.shape = shape;
}

template <const OpDef* op> void reference_of(const ReferenceCall& call) { reference(*op, call); }

// ---- definitions

struct Form {  // what the macros say of a row
  std::string_view name, doc;
  List<InputDef, 12> inputs;
  List<AttrDef, 14> attrs;
  std::string_view sample;  // attributes that have no default
  bool smooth = true;
};

constexpr std::string_view ane_source = "measured on an M1 (ane-guide) and Core ML's public statements";

// clip and threshold: those that take integers too.
template <class F>
constexpr List<MilParameter, 6> tied =
    std::is_same_v<typename F::types, numbers>
        ? List<MilParameter, 6>{{.name = "alpha", .tied = true}, {.name = "beta", .tied = true}}
        : List<MilParameter, 6>{};

template <class F, const OpDef* op> constexpr OpDef row(const Form& form, const Facts& facts) {
  OpDef def{.name = form.name,
            .doc = form.doc,
            .inputs = form.inputs,
            .attrs = form.attrs,
            .infer = infer<F>,
            .gradient = form.smooth ? gradient<F> : nullptr,
            .decompose = facts.decompose,
            .reference = reference_of<op>,
            .traits = Traits::elementwise,
            .mil = {.name = facts.mil == "=" ? form.name : facts.mil,
                    .upgrade = facts.upgrade,
                    .parameters = tied<F>},
            .ane = {facts.fit, facts.note, ane_source},
            .near_zero = facts.near_zero};
  if (!form.sample.empty()) def.samples = {Sample{.attrs = form.sample}};
  return def;
}

constexpr bool differentiable(std::string_view gradient) { return gradient != "none"; }

}  // namespace

std::vector<Ex> asinh_decomposed(std::span<const Ex> in, const Attrs&) {
  const Ex& x = in[0];
  return {sign(x) * log(abs(x) + sqrt(x * x + 1))};
}

std::vector<Ex> acosh_decomposed(std::span<const Ex> in, const Attrs&) {
  const Ex& x = in[0];
  return {log(x + sqrt(x * x - 1))};
}

void spell_dtype(MilNode& node) {
  const Tensor* word = node.constant("dtype");
  if (!word || word->dtype() != DType::string || word->size() != 1) return;
  std::string_view name = word->as<std::string>()[0];
  std::optional<DType> d = dtype_named(name);
  if (!d) throw Error(Code::bad_input, text("'{}' is no element type", printable(name)));
  if (*d == DType::i64) d = DType::i32;  // early converters wrote these and meant the 32-bit ones
  if (*d == DType::f64) d = DType::f32;
  node.set("dtype", std::string(name_of(*d)));
}

// Attributes that must be given, for the tests.
namespace sample_of {
#define TL_ATTR(name, initial)
#define TL_NEED(name, example) #name "=" #example ", "
#define TL_CHOICE(name, a, b, c)
#define TL_DTYPE(name) #name "=fp16, "
#define TL_UNARY(id, types, attrs, ...) constexpr std::string_view id = "" attrs;
#define TL_BINARY TL_UNARY
#define TL_TERNARY TL_UNARY
#include "op/elementwise.def"
}  // namespace sample_of

#define TL_ATTR(name, initial) {#name, AttrKind::number, #initial},
#define TL_NEED(name, example) {#name, AttrKind::number, required},
#define TL_CHOICE(name, a, b, c) {#name, AttrKind::word, #a, #a " " #b " " #c},
#define TL_DTYPE(name) {#name, AttrKind::word, required},
#define TL_UNARY(id, types, attrs, y, dx, sentence, ...)         \
  constinit const OpDef ops::id = row<formula::id##_, &ops::id>( \
      {#id, sentence, {"x"}, {attrs}, sample_of::id, differentiable(#dx)}, {__VA_ARGS__});
#define TL_BINARY(id, types, attrs, y, da, db, sentence, ...)    \
  constinit const OpDef ops::id = row<formula::id##_, &ops::id>( \
      {#id, sentence, {"x", "y"}, {attrs}, sample_of::id, differentiable(#da)}, {__VA_ARGS__});
#define TL_TERNARY(id, types, attrs, y, da, db, sentence, ...)   \
  constinit const OpDef ops::id = row<formula::id##_, &ops::id>( \
      {#id, sentence, {"cond", "a", "b"}, {attrs}, sample_of::id, differentiable(#da)}, {__VA_ARGS__});
#include "op/elementwise.def"

#define TL_ROW(id, ...) {&ops::id, scalar_row_of<formula::id##_>()},
#define TL_UNARY TL_ROW
#define TL_BINARY TL_ROW
#define TL_TERNARY TL_ROW
const ScalarRow* scalar_row(const OpDef& op) {
  static constexpr std::pair<const OpDef*, ScalarRow> table[] = {
#include "op/elementwise.def"
  };
  for (const auto& [key, row] : table)
    if (key == &op) return &row;
  return nullptr;
}
#undef TL_ROW

}  // namespace tl
