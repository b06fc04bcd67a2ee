// SPDX-License-Identifier: Apache-2.0
// The `types` column of elementwise.def: which element types a row takes, which of them vector kernels exist
// for; and the facts that a row may add at its end.
#pragma once
#include "ir/op_def.h"
#include "ir/tensor.h"

namespace tl {

enum class Kind : std::uint8_t {
  real,
  whole,
  truth
};  // what computes: double, int64 or bool; floats or int32 in vectors
inline Kind kind_of(DType d) {
  return d == DType::boolean ? Kind::truth : is_float(d) ? Kind::real : Kind::whole;
}

// Element types that rows can read and write one by one.
inline bool is_stored(DType d) {
  return d != DType::string && !is_packed(d) && d != DType::f8e4m3 && d != DType::f8e5m2;
}

template <class In, class Out> struct Pair {};
template <class... P> struct Pairs {};
template <class... T> using same_pairs = Pairs<Pair<T, T>...>;
template <class... T> using test_pairs = Pairs<Pair<T, bool>...>;
template <class In>
using cast_from =
    Pairs<Pair<In, Half>, Pair<In, float>, Pair<In, std::int32_t>, Pair<In, bool>, Pair<In, std::int8_t>,
          Pair<In, std::uint8_t>, Pair<In, std::int16_t>, Pair<In, std::uint16_t>>;
template <class... A, class... B> Pairs<A..., B...> operator+(Pairs<A...>, Pairs<B...>);

// `pairs`: element types with vector kernels. `takes`: all that the row takes. `gives`: the output's, of the
// input's.
struct floats {
  using pairs = same_pairs<Half, float>;
  static constexpr bool reals = true, wholes = false, truth = false;
  static DType gives(DType in) { return in; }
};
struct numbers {
  using pairs = same_pairs<Half, float, std::int32_t>;
  static constexpr bool reals = true, wholes = true, truth = false;
  static DType gives(DType in) { return in; }
};
struct truths {
  using pairs = same_pairs<bool>;
  static constexpr bool reals = false, wholes = false, truth = true;
  static DType gives(DType in) { return in; }
};
struct values {
  using pairs = same_pairs<Half, float, std::int32_t, bool>;
  static constexpr bool reals = true, wholes = true, truth = true;
  static DType gives(DType in) { return in; }
};
struct tests {
  using pairs = test_pairs<Half, float, std::int32_t>;
  static constexpr bool reals = true, wholes = true, truth = false;
  static DType gives(DType) { return DType::boolean; }
};
struct casts {
  using pairs = decltype(cast_from<Half>() + cast_from<float>() + cast_from<std::int32_t>() +
                         cast_from<bool>() + cast_from<std::int8_t>() + cast_from<std::uint8_t>() +
                         cast_from<std::int16_t>() + cast_from<std::uint16_t>());
  static constexpr bool reals = true, wholes = true, truth = true;
  static DType gives(DType in) { return in; }  // the attribute wins
};

template <class Types> bool takes(DType d) {
  Kind k = kind_of(d);
  return is_stored(d) && (k == Kind::real ? Types::reals : k == Kind::whole ? Types::wholes : Types::truth);
}

// Gradients that are 0 everywhere, and ones that do not exist.
struct Zero {};
struct None {};
inline constexpr Zero zero;
inline constexpr None none;

void spell_dtype(MilNode&);  // cast: the spellings of early opsets
std::vector<Ex> asinh_decomposed(std::span<const Ex>, const Attrs&);
std::vector<Ex> acosh_decomposed(std::span<const Ex>, const Attrs&);

struct Facts {                 // what a row may add at its end, by name
  std::string_view mil = "=";  // the MIL operation; "=": of the same name
  MilUpgrade* upgrade = nullptr;
  Decompose* decompose = nullptr;
  double near_zero = 1e-36;
  int cost = 1;  // of one element, in additions: decides from when on threads help
  Fit fit = Fit::native;
  std::string_view note = {};
};

}  // namespace tl
