// SPDX-License-Identifier: Apache-2.0
// Runs checked scripts: walks the tree, keeps variables, and asks the Host for operations, models and files.
#pragma once
#include <algorithm>
#include <map>
#include <memory>

#include "lang/builtin.h"
#include "lang/host.h"
#include "lang/unit.h"

namespace tl::lang {

struct Options {
  std::vector<std::string> arguments = {};  // the script's `args`
  bool check_numerics = false;
  std::uint64_t seed = 0;
};

struct TestResult {
  std::string name = {};
  std::string failure = {};          // the whole report; empty: passed
  std::vector<double> seconds = {};  // of each measured run
};

// How often a block runs: once, or after some runs that do not count for as long as `seconds` says.
struct Repeat {
  int warmup = 0;
  double seconds = 0;
};

enum class Flow : std::uint8_t { next, break_, continue_, return_ };

class Interpreter {
 public:
  Interpreter(Host& host, Options options);
  ~Interpreter();
  Interpreter(const Interpreter&) = delete;

  // Reads, checks and runs; throws CheckError, ScriptError or Error.
  void run_file(const std::string& path);
  void check_file(const std::string& path);
  std::vector<TestResult> test_file(const std::string& path, BlockRole role, Repeat repeat = {});
  // One entry of a prompt; the value of a last expression, unless it is none, is printed.
  void run_entry(const std::string& text);
  std::vector<std::string> completions(std::string_view prefix) const;

  // ---- for builtins
  Host& host() { return host_; }
  Options& options() { return options_; }
  Value call(const Value& function, Given&& given);
  std::vector<Tensor> evaluate(const OpDef& op, std::span<const Tensor> inputs, const Attrs& attrs);
  Tensor evaluate_one(const OpDef& op, std::span<const Tensor> inputs, const Attrs& attrs = {});
  Value arithmetic(Tok op, const Value& a, const Value& b);
  Value negative(const Value& a);
  void watch_numerics(std::string_view op, std::span<const Tensor> inputs, const Tensor& output);
  Value cast(const Value& value, const std::string& type);
  Value item(const Value& object, const Value& index);
  Place place() const { return place_; }

 private:
  struct Frame {
    Value* slots = nullptr;
    std::vector<Value>* globals = nullptr;
    const FunctionObject* function = nullptr;
    const FunctionDecl* decl = nullptr;
    int depth = 0;
  };
  struct Jump {  // break, continue or return inside an expression
    Flow flow;
  };
  class Enter;

  // ---- units (run.cpp)
  Unit& load(const std::string& path, std::vector<std::string> chain);
  Unit& new_unit(const std::string& path);
  void add_chunk(Unit& unit, std::string name, std::string text, const std::vector<std::string>& chain);
  void run_unit(Unit& unit);
  void run_chunk(Unit& unit, Chunk& chunk, Value* result);
  void run_role(Unit& unit, const BlockStmt& block);
  void run_blocks(Unit& unit, BlockRole role, Repeat repeat, std::vector<TestResult>& results);
  void run_block(Unit& unit, const BlockStmt& block, Repeat repeat, TestResult& result);

  // ---- statements (exec.cpp)
  Flow exec(const Block& block, Value* result);
  Flow exec(const Stmt& statement, Value* result);
  Flow exec_expression(const Expr& e, Value* result);
  Flow exec_if(const IfExpr& e, Value* result);
  Flow exec_match(const MatchExpr& e, Value* result);
  Flow exec_for(const ForStmt& s);
  Flow exec_while(const WhileStmt& s);
  Flow exec_body(const Block& body);
  void exec_tensor(const TensorStmt& s);
  void exec_import(const ImportStmt& s);
  void exec_impl(const ImplStmt& s);
  void hoist(const Block& block);
  void bind_loop(const ForStmt& s, Value item);
  bool matches(const Pattern& p, const Value& v);
  bool matches_list(const Pattern& p, const Value& v);
  void poll(Place place);

  // ---- variables (assign.cpp)
  Value& slot(const Variable& v) {
    if (v.home == Home::local) return frame_->slots[v.slot];
    if (v.home == Home::global) return (*frame_->globals)[static_cast<std::size_t>(v.slot)];
    return frame_->function->captured[static_cast<std::size_t>(v.slot)].shared<CellObject>().value;
  }
  Value& variable(const Variable& v);
  void set_new(const Variable& v, Value value) { slot(v) = std::move(value); }
  void assign(const AssignStmt& s);
  void unpack(const UnpackStmt& s);
  void store(const Expr& target, Value value, bool fresh);
  void store_index(const IndexExpr& target, Value value);
  void store_member(const MemberExpr& target, Value value);
  Value& reach(const Expr& target);  // the place of a variable, element or member, for writing
  bool append_in_place(const AssignStmt& s);

  // ---- expressions (eval.cpp)
  Value eval(const Expr& e);
  Value eval_name(const NameExpr& e);
  Value eval_binary(const BinaryExpr& e);
  Value eval_logic(const BinaryExpr& e);
  Value eval_range(const BinaryExpr& e);
  Value eval_unary(const UnaryExpr& e);
  Value eval_block(const Expr& e);
  Value eval_format(const FormatExpr& e);
  Value eval_list(const ListExpr& e);
  Value eval_map(const MapExpr& e);
  Value eval_closure(const FunctionDecl& f);
  Value eval_record(const RecordExpr& e);
  Value eval_cast(const CastExpr& e);
  Value eval_tensor(const TensorExpr& e, std::optional<DType> as);
  Value eval_member(const MemberExpr& e);
  Value member_of(const Value& object, const std::string& name, Place place);
  Value eval_index(const IndexExpr& e);
  std::vector<struct At> eval_subscripts(const IndexExpr& e);
  bool truth(const Expr& e);
  std::int64_t whole(const Expr& e, std::string_view what);

  // ---- calls (call.cpp)
  Value eval_call(const CallExpr& e);
  Value eval_method(const MethodExpr& e);
  Value call_new_tensor(const CallExpr& e, const TypeExpr& type);
  Value call_value(const Value& callee, Given&& given);
  Value call_script(const Value& callee, Given&& given);
  Value call_direct(const Value& callee, const CallExpr& e);
  Value tensor_arithmetic(Tok token, const Tensor& x, const Tensor& y, DType dtype);
  Value call_op(const OpDef& op, Given&& given);
  Value run_function(const Value& callee, std::vector<Value>& slots, Place place);
  Value change_in_place(const MethodExpr& e, const Builtin& method);
  bool find_record_method(const Value& object, const MethodExpr& e, Value& method, bool& is_static);
  Given evaluate_arguments(const std::vector<Argument>& all, Place place);
  void fill_fallbacks(const FunctionDecl& f, std::vector<Value>& slots);
  [[noreturn]] void fail(Place place, const std::string& reason);

  // ---- declared types (types.cpp)
  using Origins = std::vector<std::pair<const Dimension*, std::string>>;
  void check_parameters(const FunctionDecl& f, Value* slots);
  void fit(Value& value, const TypeExpr& type, const std::string& what, Origins& origins, Value* slots);
  Value initial_value(const CallExpr& e, const Shape& shape, DType dtype, bool complete);
  void fit_tensor(Value& value, const TypeExpr& type, DType dtype, const std::string& what);
  void fit_shape(const Shape& shape, const TypeExpr& type, const std::string& what, Origins& origins);

  Host& host_;
  Options options_;
  CellObject cells_;  // the head of the list of all cells
  std::vector<std::unique_ptr<Unit>> units_;
  std::map<std::string, int> by_path_;
  Frame* frame_ = nullptr;
  Place place_ = {};
  Value returned_ = {};
  Unit* prompt_ = nullptr;
  int entries_ = 0;
  unsigned ticks_ = 0;
  const char* stack_base_ = nullptr;
  std::size_t stack_limit_ = 0;
};

// ---- shared by several of its files

// The truth of a value where one is required: bool, numbers, tensors of one element. Throws Error.
bool is_true(const Value& v);
// A plain number, or a tensor of rank 0 or of one element.
bool is_number_like(const Value& v);
double as_number(const Value& v);
std::optional<std::int64_t> as_whole(const Value& v);
// The element type of a result of both; a plain number adapts to the tensor beside it.
DType common_type(const Value& a, const Value& b);

// One index or slice of x[…], evaluated.
struct At {
  Value index = {};  // not a slice: an integer, a string …, a tensor of positions
  bool slice = false;
  Value start = {}, stop = {}, step = {};
};
Value index_tensor(const Tensor& x, std::span<const At> at);
void assign_tensor(Tensor& x, std::span<const At> at, const Tensor& value);
Value index_sequence(const Value& object, const At& at);
std::int64_t wrap_index(std::int64_t i, std::int64_t length, std::string_view what);

// "float16": an element type as the language spells it.
std::string_view spell(DType dtype);

// Printing (print.cpp).
std::string display(const Value& v);         // as print shows it
std::string display_inside(const Value& v);  // as an element: strings are quoted
std::string display(const Tensor& t);
std::string format_value(const Value& v, std::string_view format);

}  // namespace tl::lang
