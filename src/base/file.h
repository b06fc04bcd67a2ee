// SPDX-License-Identifier: Apache-2.0
// Files as a whole: what is there, and writing so that a failure never leaves half a file.
#pragma once
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/reader.h"

namespace tl {

bool is_file(const std::string& path);
bool is_folder(const std::string& path);
std::string join_path(std::string_view folder, std::string_view name);
std::string file_name(std::string_view path);                   // "a/b.c/" -> "b.c"
std::string parent_path(std::string_view path);                 // "a/b" -> "a", "b" -> "."
std::vector<std::string> list_folder(const std::string& path);  // names, sorted

// Writes to a temporary name beside path, then renames: path is the old file or the whole new one.
void write_file(const std::string& path, Bytes content);

// The same for a writer that needs a path of its own (zip, png): it is given the temporary one.
void write_through(const std::string& path, const std::function<void(const std::string& temporary)>& write);

}  // namespace tl
