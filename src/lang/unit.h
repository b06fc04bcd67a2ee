// SPDX-License-Identifier: Apache-2.0
// A file of a program: its text, its tree and its top-level variables. A prompt is a unit that grows.
#pragma once
#include <deque>
#include <functional>
#include <memory>
#include <unordered_map>

#include "lang/diagnostic.h"
#include "lang/stmt.h"

namespace tl::lang {

struct Chunk {
  std::unique_ptr<Source> source;
  Block tree;
};

struct Unit {
  int number = 0;
  std::string path = {};  // "" for text that is no file
  std::deque<Chunk> chunks = {};
  std::unordered_map<std::string, int> names = {};                      // top-level variable -> slot
  std::unordered_map<std::string, const FunctionDecl*> functions = {};  // names that always are this function
  std::unordered_map<std::string, const StructStmt*> structures = {};
  std::vector<Value> globals = {};
  std::vector<std::string> global_names = {};
  bool ran = false;
};

// Finds the unit of an imported path, parsed and checked; throws Error.
using Import = std::function<Unit&(const std::string& path, const Unit& from)>;

// Resolves every name of the chunk and reports what is wrong with it.
void check(Unit& unit, Chunk& chunk, const Import& import, Diagnostics& errors);

}  // namespace tl::lang
