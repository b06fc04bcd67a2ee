// SPDX-License-Identifier: Apache-2.0
// An older network in the form of a program: what `tl convert old.mlmodel new.mlpackage` needs before it
// writes.
#pragma once
#include "ir/model_file.h"
#include "pass/specialize.h"

namespace tl {

// Inputs and outputs of the graph get the shapes and element types that the interface declares, and the
// interface those that programs may have (numbers of 64 bits become fp32). Throws Error for what no program
// can be.
void give_program_form(Function&, const pass::Fold&);

// Names of inputs and outputs become words of letters, digits and _, as programs need them. Gives those that
// changed, old and new.
std::vector<std::pair<std::string, std::string>> give_plain_names(Function&);

// The declared types of a graph's inputs, where they are fixed.
std::vector<Type> input_types(const Graph&, const Interface&);

// Output shapes of the interface as the graph has them.
void describe_outputs(const Graph&, Interface&);

}  // namespace tl
