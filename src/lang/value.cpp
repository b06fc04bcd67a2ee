// SPDX-License-Identifier: Apache-2.0
// Values: construction, maps, equality.
#include "lang/value.h"

#include <algorithm>

#include "base/text.h"

namespace tl::lang {

std::string_view name_of(Kind kind) {
  constexpr std::string_view names[] = {"none",  "bool",   "int",   "float",  "string",        "list",
                                        "map",   "tensor", "range", "struct", "a struct type", "function",
                                        "model", "state",  "type",  "cell",   "nothing"};
  return names[static_cast<std::size_t>(kind)];
}

std::string one(Kind kind) {
  if (kind == Kind::none || kind == Kind::structure || kind == Kind::unset) return std::string(name_of(kind));
  return (kind == Kind::integer ? "an " : "a ") + std::string(name_of(kind));
}

Value::Value(std::string s) : Value(Kind::string, new StringObject(std::move(s))) {}
Value::Value(Tensor t) : Value(Kind::tensor, new TensorObject(std::move(t))) {}
Value::Value(std::vector<Value> list) : Value(Kind::list, new ListObject(std::move(list))) {}

const std::string& Value::string() const { return as<StringObject>().text; }
const std::vector<Value>& Value::list() const { return as<ListObject>().items; }
const Tensor& Value::tensor() const { return as<TensorObject>().tensor; }

ListObject::~ListObject() {
  thread_local int depth = 0;
  thread_local std::vector<Value> pending;
  constexpr int deepest = 200;
  if (depth >= deepest) {
    std::move(items.begin(), items.end(), std::back_inserter(pending));
    return;
  }
  ++depth;
  items.clear();
  --depth;
  if (depth > 0) return;
  while (!pending.empty()) {
    Value last = std::move(pending.back());
    pending.pop_back();
  }
}

std::string spell(const Shape& shape) { return text_of(std::span<const Dim>(shape)); }

Value make_range(std::int64_t first, std::int64_t end) { return {Kind::range, new RangeObject(first, end)}; }

Value make_map(std::vector<std::pair<Value, Value>> entries) {
  auto map = new MapObject;
  Value result(Kind::map, map);
  for (auto& [key, value] : entries) map->at_or_add(key) = std::move(value);
  return result;
}

bool is_key(const Value& v) { return v.is(Kind::string) || v.is(Kind::integer) || v.is(Kind::boolean); }

namespace {

constexpr std::size_t few = 8;

std::string code_of(const Value& key) {
  if (key.is(Kind::string)) return "s" + key.string();
  if (key.is(Kind::boolean)) return key.boolean() ? "t" : "f";
  return std::to_string(key.integer());
}

}  // namespace

std::ptrdiff_t MapObject::position(const Value& key) const {
  if (!index_.empty()) {
    auto found = index_.find(code_of(key));
    return found == index_.end() ? -1 : static_cast<std::ptrdiff_t>(found->second);
  }
  for (std::size_t i = 0; i < entries.size(); ++i)
    if (equal(entries[i].first, key)) return static_cast<std::ptrdiff_t>(i);
  return -1;
}

const Value* MapObject::find(const Value& key) const {
  std::ptrdiff_t at = position(key);
  return at < 0 ? nullptr : &entries[static_cast<std::size_t>(at)].second;
}

Value& MapObject::at_or_add(const Value& key) {
  std::ptrdiff_t at = position(key);
  if (at >= 0) return entries[static_cast<std::size_t>(at)].second;
  entries.emplace_back(key, Value());
  if (entries.size() == few + 1)
    for (std::size_t i = 0; i < few; ++i) index_[code_of(entries[i].first)] = i;
  if (entries.size() > few) index_[code_of(key)] = entries.size() - 1;
  return entries.back().second;
}

bool MapObject::erase(const Value& key) {
  std::ptrdiff_t at = position(key);
  if (at < 0) return false;
  entries.erase(entries.begin() + at);
  index_.clear();
  if (entries.size() > few)
    for (std::size_t i = 0; i < entries.size(); ++i) index_[code_of(entries[i].first)] = i;
  return true;
}

const Value* StructureObject::method(std::string_view name) const {
  for (const auto& [own, value] : methods)
    if (own == name) return &value;
  return nullptr;
}

namespace {

bool equal_items(const std::vector<Value>& a, const std::vector<Value>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), equal);
}

bool equal_maps(const MapObject& a, const MapObject& b) {
  if (a.entries.size() != b.entries.size()) return false;
  for (const auto& [key, value] : a.entries) {
    const Value* other = b.find(key);
    if (!other || !equal(value, *other)) return false;
  }
  return true;
}

bool equal_tensors(const Tensor& a, const Tensor& b) {
  if (a.shape() != b.shape()) return false;
  if (a.dtype() == DType::string || b.dtype() == DType::string) return same(a, b);
  return to_doubles(a) == to_doubles(b);
}

bool is_scalar(const Value& v) {
  return v.is(Kind::tensor) && v.tensor().rank() == 0 && v.tensor().dtype() != DType::string;
}

// A tensor of one element stands for its number, whatever its kind.
bool equal_scalar(const Value& a, const Value& b) {
  auto number = [](const Value& v) {
    return v.is(Kind::boolean) ? v.boolean() : v.is(Kind::tensor) ? to_doubles(v.tensor())[0] : v.number();
  };
  auto fits = [](const Value& v) { return v.is_plain_number() || v.is(Kind::boolean) || is_scalar(v); };
  return fits(a) && fits(b) && number(a) == number(b);
}

}  // namespace

bool equal(const Value& a, const Value& b) {
  if (a.is_plain_number() && b.is_plain_number())
    return a.is(Kind::integer) && b.is(Kind::integer) ? a.integer() == b.integer() : a.number() == b.number();
  if (is_scalar(a) || is_scalar(b)) return equal_scalar(a, b);
  if (a.kind() != b.kind()) return false;
  switch (a.kind()) {
    case Kind::none: return true;
    case Kind::boolean: return a.boolean() == b.boolean();
    case Kind::string: return a.string() == b.string();
    case Kind::list: return equal_items(a.list(), b.list());
    case Kind::map: return equal_maps(a.as<MapObject>(), b.as<MapObject>());
    case Kind::tensor: return equal_tensors(a.tensor(), b.tensor());
    case Kind::type: return a.as<TypeObject>().dtype == b.as<TypeObject>().dtype;
    case Kind::range:
      return a.as<RangeObject>().first == b.as<RangeObject>().first &&
             a.as<RangeObject>().end == b.as<RangeObject>().end;
    case Kind::record: {
      const auto &x = a.as<RecordObject>(), &y = b.as<RecordObject>();
      return x.structure.object() == y.structure.object() && equal_items(x.fields, y.fields);
    }
    default: return a.object() == b.object();
  }
}

}  // namespace tl::lang
