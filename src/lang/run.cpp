// SPDX-License-Identifier: Apache-2.0
// From a file to its units: reading, importing, checking, running, testing; and the entries of a prompt.
#include <sys/resource.h>

#include <chrono>

#include "base/text.h"
#include "lang/interpreter.h"
#include "lang/parse.h"

namespace tl::lang {

Interpreter::Interpreter(Host& host, Options options) : host_(host), options_(std::move(options)) {
  rlimit limit = {};
  std::size_t size = 8u << 20;
  if (getrlimit(RLIMIT_STACK, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) size = limit.rlim_cur;
  stack_limit_ = std::min<std::size_t>(size, 64u << 20) / 4 * 3;
  stack_base_ = static_cast<const char*>(__builtin_frame_address(0));
}

Interpreter::~Interpreter() {
  std::vector<Value> held;
  for (CellObject* cell = cells_.next; cell != &cells_; cell = cell->next)
    held.push_back(std::move(cell->value));
}

Unit& Interpreter::new_unit(const std::string& path) {
  auto& unit = *units_.emplace_back(std::make_unique<Unit>());
  unit.number = static_cast<int>(units_.size()) - 1;
  unit.path = path;
  std::vector<Value> arguments;
  for (const std::string& each : options_.arguments) arguments.emplace_back(each);
  unit.names["args"] = 0;
  unit.globals.emplace_back(std::move(arguments));
  unit.global_names.push_back("args");
  return unit;
}

namespace {

std::string beside(const std::string& path, const std::string& from) {
  if (path.starts_with('/')) return path;
  std::size_t slash = from.rfind('/');
  std::string joined = slash == std::string::npos ? path : from.substr(0, slash + 1) + path;
  std::vector<std::string> parts;  // "lib/../x.tl" is "x.tl": one file, one name
  for (std::string_view part : split(joined, '/')) {
    if (part == "." || (part.empty() && !parts.empty())) continue;
    if (part == ".." && !parts.empty() && parts.back() != ".." && !parts.back().empty()) parts.pop_back();
    else parts.emplace_back(part);
  }
  return join(parts, "/");
}

}  // namespace

// Parses and checks a file and what it imports; each once.
Unit& Interpreter::load(const std::string& path, std::vector<std::string> chain) {
  for (std::size_t i = 0; i < chain.size(); ++i) {
    if (chain[i] != path) continue;
    chain.erase(chain.begin(), chain.begin() + static_cast<std::ptrdiff_t>(i));
    chain.push_back(path);
    throw Error(Code::bad_input, "files import each other: " + join(chain, " -> "));
  }
  auto known = by_path_.find(path);
  if (known != by_path_.end()) return *units_[static_cast<std::size_t>(known->second)];
  constexpr std::size_t deepest = 100;
  if (chain.size() > deepest) throw Error(Code::bad_input, "imports are nested too deeply");
  std::string source = host_.read_text(path);
  Unit& unit = new_unit(path);
  chain.push_back(path);
  add_chunk(unit, path, std::move(source), chain);
  by_path_[path] = unit.number;
  return unit;
}

void Interpreter::add_chunk(Unit& unit, std::string name, std::string source,
                            const std::vector<std::string>& chain) {
  Chunk& chunk = unit.chunks.emplace_back();
  constexpr std::size_t largest = 64u << 20;
  if (source.size() > largest) throw Error(Code::bad_input, text("{}: a script of more than 64 MiB", name));
  chunk.source = std::make_unique<Source>(Source{std::move(name), std::move(source)});
  Diagnostics errors;
  chunk.tree = parse(*chunk.source, errors);
  Import import = [&](const std::string& path, const Unit& from) -> Unit& {
    return load(from.path.empty() ? path : beside(path, from.path), chain);
  };
  check(unit, chunk, import, errors);
  if (!errors.empty()) throw CheckError(errors);
}

void Interpreter::run_chunk(Unit& unit, Chunk& chunk, Value* result) {
  Frame frame;
  frame.globals = &unit.globals;
  Frame* was = std::exchange(frame_, &frame);
  try {
    exec(chunk.tree, result);
  } catch (...) {
    frame_ = was;
    throw;
  }
  frame_ = was;
}

void Interpreter::run_unit(Unit& unit) {
  if (unit.ran) return;
  unit.ran = true;
  for (Chunk& chunk : unit.chunks) run_chunk(unit, chunk, nullptr);
}

// main, test and bench are functions without parameters that see the top level.
void Interpreter::run_role(Unit& unit, const BlockStmt& block) {
  std::vector<Value> slots(static_cast<std::size_t>(block.function.slots), Value::unset());
  auto* function = new FunctionObject;
  function->decl = &block.function;
  Value keep(Kind::function, function);
  Frame frame{slots.data(), &unit.globals, function, &block.function, 0};
  Frame* was = std::exchange(frame_, &frame);
  try {
    exec(block.function.body, nullptr);
  } catch (...) {
    frame_ = was;
    throw;
  }
  frame_ = was;
}

void Interpreter::run_file(const std::string& path) {
  stack_base_ = static_cast<const char*>(__builtin_frame_address(0));
  Unit& unit = load(path, {});
  run_unit(unit);
  for (const Chunk& chunk : unit.chunks)
    for (const StmtPtr& s : chunk.tree.statements)
      if (s->kind == StmtKind::block && static_cast<const BlockStmt&>(*s).role == BlockRole::main)
        run_role(unit, static_cast<const BlockStmt&>(*s));
}

void Interpreter::check_file(const std::string& path) { load(path, {}); }

std::vector<TestResult> Interpreter::test_file(const std::string& path, BlockRole role, Repeat repeat) {
  stack_base_ = static_cast<const char*>(__builtin_frame_address(0));
  std::vector<TestResult> results;
  Unit& unit = load(path, {});
  run_unit(unit);
  run_blocks(unit, role, repeat, results);
  return results;
}

void Interpreter::run_blocks(Unit& unit, BlockRole role, Repeat repeat, std::vector<TestResult>& results) {
  for (const Chunk& chunk : unit.chunks) {
    for (const StmtPtr& s : chunk.tree.statements) {
      if (s->kind != StmtKind::block || static_cast<const BlockStmt&>(*s).role != role) continue;
      const auto& block = static_cast<const BlockStmt&>(*s);
      TestResult& result = results.emplace_back();
      result.name = block.function.name;
      try {
        run_block(unit, block, repeat, result);
      } catch (const ScriptError& e) {
        if (e.code() == Code::interrupted) throw;
        result.failure = e.report();
      } catch (const Error& e) { result.failure = e.what(); }
    }
  }
}

// Every run begins with the variables as the file left them.
void Interpreter::run_block(Unit& unit, const BlockStmt& block, Repeat repeat, TestResult& result) {
  using Clock = std::chrono::steady_clock;
  auto since = [](Clock::time_point t) { return std::chrono::duration<double>(Clock::now() - t).count(); };
  const std::vector<Value> before = unit.globals;
  auto run_once = [&] {
    Clock::time_point begun = Clock::now();
    try {
      run_role(unit, block);
    } catch (...) {
      unit.globals = before;
      throw;
    }
    double taken = since(begun);
    unit.globals = before;
    return taken;
  };
  for (int i = 0; i < repeat.warmup; ++i) run_once();
  Clock::time_point begun = Clock::now();
  do result.seconds.push_back(run_once());
  while (since(begun) < repeat.seconds && result.seconds.size() < 10'000'000);
}

void Interpreter::run_entry(const std::string& source) {
  stack_base_ = static_cast<const char*>(__builtin_frame_address(0));
  if (!prompt_) prompt_ = &new_unit("");
  add_chunk(*prompt_, text("<{}>", ++entries_), source, {});
  Value result;
  run_chunk(*prompt_, prompt_->chunks.back(), &result);
  const Block& tree = prompt_->chunks.back().tree;
  for (const StmtPtr& s : tree.statements)
    if (s->kind == StmtKind::block && static_cast<const BlockStmt&>(*s).role == BlockRole::main)
      run_role(*prompt_, static_cast<const BlockStmt&>(*s));
  if (!result.is(Kind::none)) host_.print(display_inside(result) + "\n");
}

std::vector<std::string> Interpreter::completions(std::string_view prefix) const {
  std::vector<std::string> found;
  auto offer = [&](std::string_view name) {
    if (name.starts_with(prefix)) found.emplace_back(name);
  };
  if (prompt_)
    for (const std::string& name : prompt_->global_names) offer(name);
  for (std::string_view name : predefined_names()) offer(name);
  std::sort(found.begin(), found.end());
  found.erase(std::unique(found.begin(), found.end()), found.end());
  return found;
}

}  // namespace tl::lang
