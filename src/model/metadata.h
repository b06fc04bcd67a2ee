// SPDX-License-Identifier: Apache-2.0
// What is said about a model: the fields of `m.metadata` in the language and of `tl show --json`.
#pragma once
#include "ir/model_file.h"

namespace tl {

struct Precision {        // the weights of one stored type
  std::string name = {};  // "F16", "Q4_0", "Palettized4", "Int8"
  std::int64_t tensors = 0, parameters = 0;
  std::uint64_t bytes = 0;       // as stored
  std::int64_t of_matrices = 0;  // parameters in weights of rank 2 and more
};

struct Metadata {
  std::string format = {}, quantization = {}, type = {}, name = {}, author = {}, license = {}, version = {},
              description = {}, opset = {};
  int spec_version = 0;
  Interface interface = {};  // of the default function
  std::vector<std::string> functions = {};
  std::int64_t parameters = 0;
  std::uint64_t bytes = 0;                 // of the weights, as stored
  std::vector<Precision> precisions = {};  // most bytes first
  std::vector<std::pair<std::string, std::string>> user = {};
};

// quantization: the stored type of most weights of rank 2 and more (of all weights where there is none),
// "Mixed" if no type holds 60 % of them, "" without weights. A GGUF file's own word is taken where its
// tensors agree with it.
Metadata metadata_of(const ModelFile&);

// Its fields that are words, under the names that a script and `tl show --json` give them.
std::vector<std::pair<std::string, std::string>> words_of(const Metadata&);

// Whether the file speaks of layers: what is counted then.
bool counts_layers(const ModelFile&, const Function&);

// How often each operation, or layer, occurs: most frequent first.
std::vector<std::pair<std::string, std::int64_t>> operation_counts(const ModelFile&, const Function&);

// The sentence that says why the function cannot run; empty if it can.
std::string why_not_run(const ModelFile&, const Function&);

// The function that runs where none is named; null if there is none.
const Function* default_function_of(const ModelFile&);

}  // namespace tl
