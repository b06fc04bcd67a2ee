// SPDX-License-Identifier: Apache-2.0
// x[i, 1:4, positions]: reading and assigning parts of tensors, lists and strings, by NumPy's rules.
#include <algorithm>
#include <cstring>

#include "base/text.h"
#include "lang/interpreter.h"

namespace tl::lang {

std::int64_t wrap_index(std::int64_t i, std::int64_t length, std::string_view what) {
  if (i >= -length && i < length) return i < 0 ? i + length : i;
  throw Error(Code::bad_input, text("index {} is outside {} of length {}", i, what, length));
}

namespace {

struct Span {
  std::int64_t first = 0, count = 0, step = 1;
};

// Python's rule for slices: ends past the data are cut, negative ones count from the end.
Span slice_span(const At& at, std::int64_t length) {
  auto whole = [](const Value& v, std::int64_t otherwise) {
    return v.is(Kind::none) ? otherwise : *as_whole(v);
  };
  Span span;
  span.step = whole(at.step, 1);
  if (span.step == 0) throw Error(Code::bad_input, "the step of a slice must not be 0");
  bool back = span.step < 0;
  auto clamp = [&](std::int64_t i) {
    if (i < 0) i = i < -length ? -1 : i + length;
    return std::clamp(i, back ? std::int64_t{-1} : std::int64_t{0}, back ? length - 1 : length);
  };
  auto bounded = [&](const Value& v, std::int64_t otherwise) {
    if (v.is(Kind::none)) return otherwise;
    std::int64_t i = *as_whole(v);
    if (i < -length) return back ? std::int64_t{-1} : std::int64_t{0};
    return clamp(i);
  };
  span.first = bounded(at.start, back ? length - 1 : 0);
  std::int64_t stop = bounded(at.stop, back ? -1 : length),
               distance = back ? span.first - stop : stop - span.first;
  std::int64_t stride = span.step == INT64_MIN ? INT64_MAX : std::abs(span.step);
  span.count = distance > 0 ? (distance - 1) / stride + 1 : 0;
  return span;
}

// The positions an index takes along one axis.
struct Axis {
  std::vector<std::int64_t> positions = {};
  Shape shape = {};  // what the axis becomes: {} for an int, {n} for a slice, the shape of an integer tensor
};

Axis positions_of_tensor(const Tensor& index, std::int64_t length, std::size_t axis) {
  Axis result;
  std::vector<std::int64_t> values = to_integers(index);
  if (index.dtype() == DType::boolean) {
    if (index.shape() != Shape{length})
      throw Error(Code::bad_input, text("a mask of shape {} does not fit dimension {} of length {}",
                                        spell(index.shape()), axis, length));
    for (std::size_t i = 0; i < values.size(); ++i)
      if (values[i]) result.positions.push_back(static_cast<std::int64_t>(i));
    result.shape = {static_cast<Dim>(result.positions.size())};
    return result;
  }
  if (is_float(index.dtype()))
    throw Error(Code::bad_input, text("an index must be int, not {}", spell(index.dtype())));
  for (std::int64_t& i : values) i = wrap_index(i, length, text("dimension {}", axis));
  return {std::move(values), index.shape()};
}

Axis axis_of(const At& at, std::int64_t length, std::size_t axis) {
  Axis result;
  if (at.slice) {
    Span span = slice_span(at, length);
    for (std::int64_t i = 0; i < span.count; ++i) result.positions.push_back(span.first + i * span.step);
    result.shape = {span.count};
    return result;
  }
  if (std::optional<std::int64_t> i =
          at.index.is(Kind::tensor) && at.index.tensor().rank() > 0 ? std::nullopt : as_whole(at.index))
    return {{wrap_index(*i, length, text("dimension {}", axis))}, {}};
  if (at.index.is(Kind::tensor) && at.index.tensor().dtype() != DType::string)
    return positions_of_tensor(at.index.tensor(), length, axis);
  if (at.index.is(Kind::list)) return positions_of_tensor(as_tensor(at.index), length, axis);
  throw Error(Code::bad_input, text("an index must be int, not {}",
                                    at.index.is(Kind::none)
                                        ? "none"
                                        : text("{} {}", name_of(at.index.kind()), display_inside(at.index))));
}

struct Selection {
  std::vector<Axis> axes = {};
  Shape shape = {};        // of the result
  std::int64_t inner = 1;  // elements that follow each position contiguously
};

Selection select(const Shape& shape, std::span<const At> at) {
  if (at.size() > shape.size())
    throw Error(Code::bad_input,
                text("{} indices for a tensor of rank {}, shape {}", at.size(), shape.size(), spell(shape)));
  Selection s;
  for (std::size_t i = 0; i < at.size(); ++i) {
    s.axes.push_back(axis_of(at[i], shape[i], i));
    s.shape.insert(s.shape.end(), s.axes[i].shape.begin(), s.axes[i].shape.end());
  }
  for (std::size_t i = at.size(); i < shape.size(); ++i) {
    s.inner *= shape[i];
    s.shape.push_back(shape[i]);
  }
  return s;
}

// Calls body(offset in elements) for every selected run of s.inner elements, in order.
template <class Body> void each_run(const Selection& s, const Shape& shape, const Body& body) {
  if (volume(s.shape) == 0) return;
  Shape strides = row_major(shape);
  std::vector<std::size_t> at(s.axes.size());
  while (true) {
    std::int64_t offset = 0;
    for (std::size_t i = 0; i < at.size(); ++i) offset += s.axes[i].positions[at[i]] * strides[i];
    body(offset);
    std::size_t i = at.size();
    while (i > 0 && ++at[i - 1] == s.axes[i - 1].positions.size()) at[--i] = 0;
    if (i == 0) return;
  }
}

// x[mask] with a mask of x's own shape.
bool is_whole_mask(const Tensor& x, std::span<const At> at) {
  return at.size() == 1 && !at[0].slice && at[0].index.is(Kind::tensor) &&
         at[0].index.tensor().dtype() == DType::boolean && x.rank() > 1 &&
         at[0].index.tensor().shape() == x.shape();
}

At flat(const At& at, std::int64_t size) {
  At result;
  result.index = Value(at.index.tensor().reshaped({size}));
  return result;
}

Tensor index_strings(const Tensor& x, const Selection& s) {
  std::vector<std::string> picked;
  each_run(s, x.shape(), [&](std::int64_t offset) {
    for (std::int64_t i = 0; i < s.inner; ++i)
      picked.push_back(x.as<std::string>()[static_cast<std::size_t>(offset + i)]);
  });
  return from_strings(std::move(picked), s.shape);
}

}  // namespace

Value index_tensor(const Tensor& x, std::span<const At> at) {
  if (is_whole_mask(x, at)) {
    At mask = flat(at[0], x.size());
    return index_tensor(x.reshaped({x.size()}), std::span<const At>(&mask, 1));
  }
  Selection s = select(x.shape(), at);
  if (x.dtype() == DType::string) {
    Tensor picked = index_strings(x, s);
    return picked.rank() == 0 ? Value(picked.as<std::string>()[0]) : Value(picked);
  }
  if (is_packed(x.dtype())) return index_tensor(converted(x, DType::i8), at);
  std::size_t width = bytes_of(x.dtype(), 1);
  bool contiguous = true;  // leading ints, then one run: a view is enough
  for (const Axis& axis : s.axes) contiguous &= axis.shape.empty();
  if (contiguous && volume(s.shape) > 0) {
    std::int64_t offset = 0;
    each_run(s, x.shape(), [&](std::int64_t o) { offset = o; });
    return Value(
        Tensor(x.dtype(), s.shape, x.storage(), x.offset() + static_cast<std::size_t>(offset) * width));
  }
  Tensor result(x.dtype(), s.shape);
  if (result.size() == 0) return Value(result);
  std::byte* to = result.writable_data();
  std::size_t run = static_cast<std::size_t>(s.inner) * width;
  each_run(s, x.shape(), [&](std::int64_t offset) {
    std::memcpy(to, x.data() + static_cast<std::size_t>(offset) * width, run);
    to += run;
  });
  return Value(std::move(result));
}

void assign_tensor(Tensor& x, std::span<const At> at, const Tensor& given) {
  if (is_whole_mask(x, at)) {
    At mask = flat(at[0], x.size());
    Shape shape = x.shape();
    x = x.reshaped({x.size()});
    assign_tensor(x, std::span<const At>(&mask, 1), given);
    x = x.reshaped(shape);
    return;
  }
  if (x.dtype() == DType::string || is_packed(x.dtype()))
    throw Error(Code::unsupported, text("elements of a {} tensor cannot be assigned", spell(x.dtype())));
  Selection s = select(x.shape(), at);
  Tensor value = given.dtype() == x.dtype() ? given : converted(given, x.dtype());
  Shape common = broadcast(value.shape(), s.shape);
  if (common != s.shape)
    throw Error(Code::bad_input, text("a value of shape {} does not fit the shape {} of the place",
                                      spell(value.shape()), spell(s.shape)));
  std::size_t width = bytes_of(x.dtype(), 1);
  std::byte* to = x.writable_data();
  Shape strides(s.shape.size());  // of the value, 0 where it is broadcast
  Shape own = row_major(value.shape());
  std::size_t lead = s.shape.size() - value.rank();
  for (std::size_t i = 0; i < value.rank(); ++i) strides[lead + i] = value.shape()[i] == 1 ? 0 : own[i];
  std::vector<std::int64_t> index(s.shape.size());
  std::int64_t from = 0;
  each_run(s, x.shape(), [&](std::int64_t offset) {
    for (std::int64_t k = 0; k < s.inner; ++k) {
      std::memcpy(to + static_cast<std::size_t>(offset + k) * width,
                  value.data() + static_cast<std::size_t>(from) * width, width);
      for (std::size_t i = index.size(); i-- > 0;) {
        from += strides[i];
        if (++index[i] < s.shape[i]) break;
        from -= strides[i] * s.shape[i];
        index[i] = 0;
      }
    }
  });
}

namespace {

std::size_t next_character(const std::string& s, std::size_t at) {
  for (++at; at < s.size() && (static_cast<unsigned char>(s[at]) & 0xc0) == 0x80;) ++at;
  return at;
}

std::vector<Value> characters(const std::string& s) {
  std::vector<Value> result;
  for (std::size_t at = 0; at < s.size();) {
    std::size_t next = next_character(s, at);
    result.emplace_back(s.substr(at, next - at));
    at = next;
  }
  return result;
}

}  // namespace

Value index_sequence(const Value& object, const At& at) {
  if (object.is(Kind::range)) {
    Span span = slice_span(at, object.as<RangeObject>().size());
    if (span.step != 1) throw Error(Code::bad_input, "a slice of a range has no step");
    std::int64_t first = object.as<RangeObject>().first + span.first;
    return make_range(first, first + span.count);
  }
  if (!object.is(Kind::list) && !object.is(Kind::string))
    throw Error(Code::bad_input, text("{} cannot be sliced", one(object.kind())));
  bool string = object.is(Kind::string);
  std::vector<Value> all = string ? characters(object.string()) : object.list(), result;
  Span span = slice_span(at, static_cast<std::int64_t>(all.size()));
  for (std::int64_t i = 0; i < span.count; ++i)
    result.push_back(all[static_cast<std::size_t>(span.first + i * span.step)]);
  if (!string) return Value(std::move(result));
  std::string joined;
  for (const Value& each : result) joined += each.string();
  return Value(std::move(joined));
}

Value Interpreter::item(const Value& object, const Value& index) {
  if (object.is(Kind::map)) {
    if (!is_key(index)) throw Error(Code::bad_input, text("{} cannot be a key of a map", one(index.kind())));
    if (const Value* found = object.as<MapObject>().find(index)) return *found;
    std::vector<std::string_view> known;
    for (const auto& [key, value] : object.as<MapObject>().entries)
      if (key.is(Kind::string)) known.push_back(key.string());
    throw Error(Code::bad_input, text("there is no key {}{}", display_inside(index),
                                      index.is(Kind::string) ? did_you_mean(index.string(), known) : ""));
  }
  if (object.is(Kind::tensor)) {
    At at{index};
    return index_tensor(object.tensor(), std::span<const At>(&at, 1));
  }
  std::optional<std::int64_t> i = as_whole(index);
  if (!object.is(Kind::list) && !object.is(Kind::string) && !object.is(Kind::range))
    throw Error(Code::bad_input, text("{} cannot be indexed", one(object.kind())));
  if (!i)
    throw Error(Code::bad_input,
                text("{} is indexed by int, not by {}", one(object.kind()), name_of(index.kind())));
  if (object.is(Kind::range)) {
    const auto& range = object.as<RangeObject>();
    return range.first + wrap_index(*i, range.size(), "range");
  }
  if (object.is(Kind::list))
    return object.list()[static_cast<std::size_t>(
        wrap_index(*i, static_cast<std::int64_t>(object.list().size()), "list"))];
  std::vector<Value> all = characters(object.string());
  return all[static_cast<std::size_t>(wrap_index(*i, static_cast<std::int64_t>(all.size()), "string"))];
}

}  // namespace tl::lang
