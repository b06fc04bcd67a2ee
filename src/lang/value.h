// SPDX-License-Identifier: Apache-2.0
// What a variable can hold. Numbers are held in place, everything else is shared and copied when written to
// while shared, so that every value behaves as one of its own.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "ir/op_def.h"

namespace tl::lang {

enum class Kind : std::uint8_t {
  none,
  boolean,
  integer,
  number,  // in place
  string,
  list,
  map,
  tensor,
  range,
  record,
  structure,
  function,
  model,
  state,
  type,
  cell,   // a variable that a closure shares
  unset,  // a variable without a value yet
};
// "int", "float", "list": as users read it.
std::string_view name_of(Kind);
std::string one(Kind);  // "an int", "a list", "none"

struct Object {
  Object() = default;
  Object(const Object&) {}
  Object& operator=(const Object&) = delete;
  virtual ~Object() = default;
  std::uint32_t references = 0;
};

class Value {
 public:
  Value() : integer_(0) {}
  Value(bool b) : kind_(Kind::boolean), integer_(0) { boolean_ = b; }
  Value(std::int64_t i) : kind_(Kind::integer), integer_(i) {}
  Value(int i) : Value(std::int64_t{i}) {}
  Value(double d) : kind_(Kind::number), number_(d) {}
  Value(std::string s);
  Value(std::string_view s) : Value(std::string(s)) {}
  Value(const char* s) : Value(std::string(s)) {}
  Value(Tensor t);
  Value(std::vector<Value> list);
  Value(Kind kind, Object* object) : kind_(kind), object_(object) { ++object->references; }

  Value(const Value& other) : kind_(other.kind_), integer_(other.integer_) {
    if (is_shared_kind()) ++object_->references;
  }
  Value(Value&& other) noexcept : kind_(std::exchange(other.kind_, Kind::none)), integer_(other.integer_) {}
  Value& operator=(const Value& other) { return *this = Value(other); }
  Value& operator=(Value&& other) noexcept {
    std::swap(kind_, other.kind_);
    std::swap(integer_, other.integer_);
    return *this;
  }
  ~Value() {
    if (is_shared_kind() && --object_->references == 0) delete object_;
  }
  static Value unset() {
    Value v;
    v.kind_ = Kind::unset;
    return v;
  }

  Kind kind() const { return kind_; }
  bool is(Kind k) const { return kind_ == k; }
  bool is_plain_number() const { return kind_ == Kind::integer || kind_ == Kind::number; }
  bool boolean() const { return boolean_; }
  std::int64_t integer() const { return integer_; }
  double number() const { return kind_ == Kind::integer ? static_cast<double>(integer_) : number_; }
  Object* object() const { return object_; }

  template <class T> const T& as() const { return *static_cast<const T*>(object_); }
  // For writing: a copy of its own first, if shared.
  template <class T> T& own() {
    if (object_->references > 1) *this = Value(kind_, new T(static_cast<const T&>(*object_)));
    return *static_cast<T*>(object_);
  }
  template <class T> T& shared() const {
    return *static_cast<T*>(object_);
  }  // cells and models: never copied

  const std::string& string() const;
  const std::vector<Value>& list() const;
  const Tensor& tensor() const;

 private:
  bool is_shared_kind() const { return kind_ >= Kind::string && kind_ <= Kind::cell; }

  Kind kind_ = Kind::none;
  union {
    bool boolean_;
    std::int64_t integer_;
    double number_;
    Object* object_;
  };
};

struct StringObject : Object {
  explicit StringObject(std::string s) : text(std::move(s)) {}
  std::string text;
};
struct ListObject : Object {
  ListObject() = default;
  explicit ListObject(std::vector<Value> v) : items(std::move(v)) {}
  ListObject(const ListObject&) = default;
  ~ListObject()
      override;  // lists may nest so deeply that taking them apart by recursion would exhaust the stack
  std::vector<Value> items;
};
struct TensorObject : Object {
  explicit TensorObject(Tensor t) : tensor(std::move(t)) {}
  Tensor tensor;
};
struct RangeObject : Object {
  RangeObject(std::int64_t f, std::int64_t e) : first(f), end(e) {}
  std::int64_t first, end;  // the end is excluded
  std::int64_t size() const { return end > first ? end - first : 0; }
};
struct CellObject : Object {
  CellObject() = default;
  CellObject(Value v, CellObject& list) : value(std::move(v)), previous(&list), next(list.next) {
    previous->next = next->previous = this;
  }
  CellObject(const CellObject&) = delete;
  ~CellObject() override { previous->next = next, next->previous = previous; }
  Value value = {};
  // All cells are in a list of the interpreter, which empties them at its end: a closure may hold itself.
  CellObject *previous = this, *next = this;
};
struct TypeObject : Object {
  explicit TypeObject(DType d) : dtype(d) {}
  DType dtype;
};

// Keeps the order in which keys came, as Python does. Keys are strings, integers or booleans.
struct MapObject : Object {
  std::vector<std::pair<Value, Value>> entries;  // append through at_or_add
  const Value* find(const Value& key) const;
  Value& at_or_add(const Value& key);
  bool erase(const Value& key);

 private:
  std::ptrdiff_t position(const Value& key) const;
  std::unordered_map<std::string, std::size_t> index_;  // of maps with more than a few entries
};

struct FunctionDecl;
struct StructStmt;
struct Builtin;
enum class Form : std::uint8_t { script, builtin, op };
struct FunctionObject : Object {
  Form form = Form::script;
  const FunctionDecl* decl = nullptr;  // script
  const Builtin* builtin = nullptr;
  const OpDef* op = nullptr;
  std::vector<Value> captured = {};  // cells
};
struct StructureObject : Object {  // what `struct Point { … }` defines, with the methods of its impl
  const StructStmt* decl = nullptr;
  int unit = 0;
  std::vector<std::pair<std::string, Value>> methods;
  const Value* method(std::string_view name) const;
};
struct RecordObject : Object {
  Value structure = {};
  std::vector<Value> fields;
};

std::string spell(const Shape& shape);  // "[2, 3]"

Value make_range(std::int64_t first, std::int64_t end);
Value make_map(std::vector<std::pair<Value, Value>> entries);
bool is_key(const Value&);

// Lists of numbers (nested too) and plain numbers as a tensor; throws Error.
Tensor as_tensor(const Value& v, std::optional<DType> dtype = {});

// The same kind and content; tensors element by element; functions only if they are the same one.
bool equal(const Value& a, const Value& b);

}  // namespace tl::lang
