// SPDX-License-Identifier: Apache-2.0
// The text of one script and places in it. Every token, tree node and error knows its Place.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace tl::lang {

struct Source {
  std::string name = {};  // as the user wrote it: "lib/x.tl", "<prompt>"
  std::string text = {};
};

struct Place {  // borrows the Source
  const Source* source = nullptr;
  std::uint32_t begin = 0, end = 0;
};

// From the beginning of a to the end of b.
inline Place span(Place a, Place b) { return {a.source, a.begin, b.end > a.end ? b.end : a.end}; }

struct LineColumn {
  int line = 1, column = 1;  // both count from 1; columns count characters, not bytes
  std::string_view line_text = {};
};

LineColumn locate(Place place);

// "x.tl:3:5"
std::string spell(Place place);

// The line and a caret under the place, each with two spaces before and ending without a line end.
std::string show_line(Place place);

}  // namespace tl::lang
