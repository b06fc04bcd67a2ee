// SPDX-License-Identifier: Apache-2.0
// Places as people read them: file, line, column, and the line with a caret.
#include "lang/source.h"

#include <algorithm>

#include "base/text.h"

namespace tl::lang {

namespace {

bool starts_character(char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }

int count_characters(std::string_view bytes) {
  return static_cast<int>(std::count_if(bytes.begin(), bytes.end(), starts_character));
}

}  // namespace

LineColumn locate(Place place) {
  if (!place.source) return {};
  std::string_view whole = place.source->text;
  std::size_t at = std::min<std::size_t>(place.begin, whole.size());
  std::size_t start = at == 0 ? 0 : whole.rfind('\n', at - 1) + 1;  // npos + 1 is 0
  std::size_t end = std::min(whole.find('\n', at), whole.size());
  LineColumn result;
  result.line =
      1 + static_cast<int>(std::count(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(at), '\n'));
  result.column = 1 + count_characters(whole.substr(start, at - start));
  result.line_text = whole.substr(start, end - start);
  if (result.line_text.ends_with('\r')) result.line_text.remove_suffix(1);
  return result;
}

std::string spell(Place place) {
  if (!place.source) return "?";
  LineColumn where = locate(place);
  return text("{}:{}:{}", place.source->name, where.line, where.column);
}

std::string show_line(Place place) {
  if (!place.source) return "";
  LineColumn where = locate(place);
  std::string_view line = where.line_text;
  int length = static_cast<int>(place.end > place.begin ? place.end - place.begin : 1);
  std::string_view rest = std::string_view(place.source->text)
                              .substr(std::min<std::size_t>(place.begin, place.source->text.size()));
  int marked = std::max(1, count_characters(rest.substr(0, std::min<std::size_t>(length, rest.find('\n')))));
  int from = where.column - 1;
  constexpr int widest = 100;  // a very long line is cut around the place
  std::string shown, before, tail;
  int column = 0;
  int first = from > widest ? from - widest / 2 : 0;
  for (char c : line) {
    if (starts_character(c)) ++column;
    if (column <= first) continue;
    if (column > first + 2 * widest) {
      tail = "…";
      break;
    }
    shown += c == '\t' || static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? ' ' : c;
  }
  if (first) shown.insert(0, "…"), ++from;
  marked = std::min(marked, widest);
  return "  " + shown + tail + "\n  " + std::string(static_cast<std::size_t>(from - first), ' ') + "^" +
         std::string(static_cast<std::size_t>(marked - 1), '~');
}

}  // namespace tl::lang
