// SPDX-License-Identifier: Apache-2.0
// Functions of the language that are written in C++: a row each, with a signature that binds and checks
// arguments.
#pragma once
#include <optional>
#include <span>

#include "lang/source.h"
#include "lang/value.h"

namespace tl::lang {

class Interpreter;
struct Builtin;

// The arguments of a call as they stand: by position, then by name.
struct Given {
  std::vector<Value> positional = {};
  std::vector<std::pair<std::string_view, Value>> named = {};
  Place place = {};
};

// The arguments of a builtin, one per parameter of its signature.
struct Args {
  Interpreter& interpreter;
  const Builtin& self;
  std::vector<Value> values = {};                         // unset: not given
  std::vector<Value> rest = {};                           // of a "*parameter"
  std::vector<std::pair<std::string, Value>> named = {};  // of a "**parameter": the names nothing else has
  Place place = {};

  bool has(std::size_t i) const { return !values[i].is(Kind::unset); }
  const Value& operator[](std::size_t i) const { return values[i]; }
  // As the kind that is asked for; throws Error naming the parameter.
  std::int64_t integer(std::size_t i) const;
  std::int64_t integer_or(std::size_t i, std::int64_t otherwise) const;
  double number(std::size_t i) const;
  double number_or(std::size_t i, double otherwise) const;
  bool boolean_or(std::size_t i, bool otherwise) const;
  const std::string& string(std::size_t i) const;
  const std::vector<Value>& list(std::size_t i) const;
  Tensor tensor(std::size_t i) const;  // lists of numbers and plain numbers become one
  Shape shape(std::size_t i) const;    // 3, [2, 3]
  std::vector<std::int64_t> integers(std::size_t i) const;
  DType dtype_or(std::size_t i, DType otherwise) const;
  [[noreturn]] void wrong(std::size_t i, std::string_view wanted) const;
};

using BuiltinFunction = Value(Args&);

struct Builtin {
  std::string_view name = {};
  // "x, axis?, keepdims?", "*values, **names": `?` may be left out. A method that begins with "&" changes its
  // object.
  std::string_view signature = {};
  std::string_view doc = {};
  BuiltinFunction* run = nullptr;
};

// The parameters of a signature, as they are written there.
std::vector<std::string_view> parameters_of(std::string_view signature);
Args bind(Interpreter&, const Builtin&, Given&&);

// All functions by name: builtins, aliases, then the operations.
const Builtin* find_builtin(std::string_view name);
const Builtin* find_method(Kind kind, std::string_view name);  // x is the first argument
std::vector<std::span<const Builtin>> builtin_tables();
std::span<const Builtin> methods_of(Kind kind);

// The value a name has if no variable has it: a function, a constant, an element type, a device.
std::optional<Value> predefined(std::string_view name);
std::vector<std::string_view> predefined_names();

// The page that help(name) prints; throws Error if there is none.
std::string help_page(const Value& function);

Value function_value(const Builtin&);
Value function_value(const OpDef&);

// Each file of builtins has one table.
std::span<const Builtin> core_builtins();
std::span<const Builtin> tensor_builtins();
std::span<const Builtin> array_builtins();  // sum, mean, argsort …: as NumPy
std::span<const Builtin> alias_builtins();  // conv2d, linear, …
std::span<const Builtin> file_builtins();
std::span<const Builtin> string_methods();
std::span<const Builtin> list_methods();
std::span<const Builtin> map_methods();
std::span<const Builtin> tensor_methods();
std::span<const Builtin> model_methods();

}  // namespace tl::lang
