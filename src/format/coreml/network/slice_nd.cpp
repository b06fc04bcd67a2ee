// SPDX-License-Identifier: Apache-2.0
// Layers that take a part of a blob, and the one that puts a border around it.
#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "format/coreml/network/nd.h"
#include "op/formulas.h"

namespace tl::coreml {
namespace {

struct Slice {  // of every dimension; an empty list: nothing said
  Ex begin = {}, end = {};
  Integers strides = {}, begin_masks = {}, end_masks = {}, squeeze_masks = {};
};

Ex sliced(const Ex& x, const Slice& s) {
  Attrs attrs;
  auto set = [&](std::string_view name, const Integers& values) {
    if (!values.empty()) attrs.set(name, values);
  };
  set("stride", s.strides);
  set("begin_mask", s.begin_masks);
  set("end_mask", s.end_masks);
  set("squeeze_mask", s.squeeze_masks);
  return some_rank(emit(ops::slice_by_index, std::array{x, s.begin, s.end}, attrs));
}

}  // namespace

Lowered lower_slice_static(Layer& l) {
  need_inputs(l, 1);
  Slice s{integers(l.place, l.params.integers(1)),
          integers(l.place, l.params.integers(3)),
          l.params.integers(5),
          l.params.integers(2),
          l.params.integers(4),
          l.params.integers(6)};
  return {sliced(l.in[0], s)};
}

namespace {

// Of a list that speaks of dimensions, what there is of them: converters write five.
Integers cut(const Layer& l, Integers list) {
  list.resize(std::min(list.size(), rank_of(l.in[0])));
  return list;
}

// A list that is an input or, without one, a parameter. It must be constant: what comes out depends on it.
Integers list_of(const Layer& l, std::size_t input, std::uint32_t field, std::string_view what) {
  if (input >= l.in.size()) return cut(l, l.params.integers(field));
  if (auto values = constant_integers(l, input)) return *values;
  throw Error(Code::unsupported, text("{} must be constant", what));
}

// begin or end where a mask that is known only when the layer runs says to leave it out: the place before the
// first or after the last element, as the stride goes.
Ex masked(const Layer& l, const Ex& place, const Ex& mask, const Integers& strides, bool is_end) {
  Ex lengths = shape_of(l.in[0]), forward = is_end ? lengths : lengths * 0,
     backward = is_end ? lengths * -1 - 1 : lengths - 1;
  Integers down;
  for (std::size_t d = 0; d < rank_of(l.in[0]); ++d) down.push_back(d < strides.size() && strides[d] < 0);
  Ex start = select(truth(integers(l.place, down)), backward, forward);
  return select(truth(mask), start, place);
}

// What lists of dimensions are while they are known only when the layer runs: int32 vectors, all of them.
struct Strided {
  Ex begin = {}, end = {}, strides = {}, begin_masks = {}, end_masks = {};
};

// A slice whose strides are an input: the elements of each dimension by their indices.
Ex strided(const Ex& x, const Strided& s) {
  Ex lengths = shape_of(x), forward = s.strides > 0, zero = lengths * 0;
  Ex lowest = select(forward, zero, zero - 1), highest = select(forward, lengths, lengths - 1);
  auto place = [&](const Ex& given, const Ex& mask, const Ex& otherwise) {
    Ex counted = select(given < 0, given + lengths, given);
    return select(truth(mask), otherwise, minimum(maximum(counted, lowest), highest));
  };
  Ex begin = place(s.begin, s.begin_masks, select(forward, zero, lengths - 1)),
     end = place(s.end, s.end_masks, select(forward, lengths, zero - 1)), out = x;
  for (std::size_t d = 0; d < rank_of(x); ++d) {
    auto axis = static_cast<std::int64_t>(d);
    auto of = [&](const Ex& list) { return emit(ops::gather, {list, integer(x.place(), axis)}); };
    Ex indices = emit(ops::range_1d, {of(end), of(begin), of(s.strides)});
    out = emit(ops::gather, {out, indices}, {{"axis", axis}});
  }
  return out;
}

Lowered slice_with_input_strides(Layer& l) {
  if (l.in.size() > 6 || !l.params.integers(6).empty())
    for (std::int64_t squeezed : list_of(l, 6, 6, "its squeeze masks"))
      if (squeezed) throw Error(Code::unsupported, "its strides must be constant where it drops dimensions");
  auto list = [&](std::size_t input, std::uint32_t field) {
    if (input < l.in.size()) return int32(l.in[input]);
    Integers values = cut(l, l.params.integers(field));
    values.resize(rank_of(l.in[0]));
    return integers(l.place, values);
  };
  return {strided(l.in[0], {list(1, 0), list(2, 3), list(3, 5), list(4, 2), list(5, 4)})};
}

}  // namespace

Lowered lower_slice_dynamic(Layer& l) {
  need_inputs(l, 2, 7);
  if (l.in.size() > 3 && !constant_integers(l, 3)) return slice_with_input_strides(l);
  Slice s{int32(l.in[1]), {}, {}, {}, {}, {}};
  s.end = l.in.size() > 2 ? int32(l.in[2]) : integers(l.place, cut(l, l.params.integers(3)));
  s.strides = list_of(l, 3, 5, "its strides");
  s.squeeze_masks = list_of(l, 6, 6, "its squeeze masks");
  auto mask = [&](std::size_t input, std::uint32_t field, Integers& known, Ex& place) {
    if (input >= l.in.size()) known = cut(l, l.params.integers(field));
    else if (auto values = constant_integers(l, input)) known = *values;
    else place = masked(l, place, l.in[input], s.strides, input == 5);
  };
  mask(4, 2, s.begin_masks, s.begin);
  mask(5, 4, s.end_masks, s.end);
  return {sliced(l.in[0], s)};
}

Lowered lower_slice_by_size(Layer& l) {
  need_inputs(l, 2);
  std::int64_t axis = l.params.integer(3);
  Integers sizes;
  for (Dim d : l.in[0].shape()) sizes.push_back(is_known(d) ? d : -1);
  sizes.at(static_cast<std::size_t>(wrap_axis(axis, rank_of(l.in[0])))) = l.params.integer(2);
  return {emit(ops::slice_by_size,
               {l.in[0], at_axis(int32(l.in[1]), axis, sizes.size()), integers(l.place, sizes)})};
}

// Amounts [before, after] per dimension; in the other mode one of each pair is the length that comes out at
// least, and says on which side the border is.
Lowered lower_constant_pad(Layer& l) {
  need_inputs(l, 1, 2);
  Integers given = l.params.integers(2);
  std::size_t rank = rank_of(l.in[0]);
  if (l.in.size() == 1 && given.size() != 2 * rank)
    throw Error(Code::bad_input,
                text("has {} amounts of padding; a blob of rank {} needs {}", given.size(), rank, 2 * rank));
  Ex amounts = l.in.size() == 2 ? int32(l.in[1]) : integers(l.place, given);
  if (l.params.flag(3)) {
    Ex lengths = emit(ops::expand_dims, {shape_of(l.in[0])}, {{"axes", Integers{1}}});
    Ex twice = emit(ops::reshape, {emit(ops::tile, {lengths, integers(l.place, {1, 2})}),
                                   integers(l.place, {static_cast<std::int64_t>(2 * rank)})});
    amounts = select(amounts > 0, maximum(amounts - twice, 0), amounts * 0);
  }
  return {emit(ops::pad, {l.in[0], amounts}, {{"constant_val", l.params.number(1)}})};
}

}  // namespace tl::coreml
