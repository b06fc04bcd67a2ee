// SPDX-License-Identifier: Apache-2.0
// From one model file to another: what `tl convert` and save_model do.
#pragma once
#include "ir/model_file.h"
#include "model/runtime.h"
#include "model/value.h"

namespace tl {

struct FileConversion {
  // fp16 or fp32: what the program computes in, the interface stays. auto: as it is.
  std::string precision = "auto";
  std::vector<std::string> shapes = {};  // NAME=DIMS: inputs of a fixed shape from now on
  std::int64_t batch = 0;                // the first dimension of every input; 0: as it is
  bool dense = false;                    // compressed weights are expanded
  bool engine = false;  // for the Neural Engine: fp16, its forms of products, attention, norms and masks
  bool split_embedding = false;  // functions for the tables of words and for the rest, beside the whole
  Notice notice = {};            // for what the user should know
};

// Writes a model that was read. The ending of `out` says the format: .mlpackage or .safetensors. Throws Error
// where it cannot hold what is in `in`.
void save_model_file(ModelFile, const std::string& out, const FileConversion&, const Runtime&);

void convert_file(const std::string& in, const std::string& out, const FileConversion&, const Runtime&);

}  // namespace tl
