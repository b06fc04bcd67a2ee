// SPDX-License-Identifier: Apache-2.0
// What tells this program, and this run of the machine, from others.
#pragma once
#include <string>

namespace tl {

std::string machine_name();

// Lines: the file that this code was loaded from, in its state, and when the machine was started. A program
// that was built anew is another one.
std::string program_identity();

}  // namespace tl
