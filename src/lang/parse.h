// SPDX-License-Identifier: Apache-2.0
// Tokens -> syntax tree. Never throws: errors are collected and parsing goes on with the next statement.
#pragma once
#include "lang/diagnostic.h"
#include "lang/stmt.h"

namespace tl::lang {

Block parse(const Source& source, Diagnostics& errors);

}  // namespace tl::lang
