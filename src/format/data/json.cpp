// SPDX-License-Identifier: Apache-2.0
// JSON over nlohmann-json, with the numbers that JSON lacks.
#include "format/data/json.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/storage.h"
#include "base/text.h"

namespace tl::data {
namespace {

constexpr int deepest = 64;

// In the text that nlohmann reads, the three words stand as strings that nobody writes: they begin with two
// escaped zero bytes.
struct Word {
  std::string_view name;
  double value;
};
const Word words[] = {{"NaN", std::nan("")}, {"Infinity", HUGE_VAL}, {"-Infinity", -HUGE_VAL}};
constexpr std::string_view mark = "\\u0000\\u0000";
constexpr std::string_view marked{"\0\0", 2};

// The text with the words replaced; checks the depth on the way.
std::string with_words_marked(std::string_view given) {
  std::string out;
  int depth = 0;
  bool inside = false;  // a string
  for (std::size_t i = 0; i < given.size(); ++i) {
    char c = given[i];
    if (inside) {
      if (c == '\\' && i + 1 < given.size()) out += given[i++];
      else if (c == '"') inside = false;
      out += given[i];
      continue;
    }
    if (c == '"') inside = true;
    if (c == '[' || c == '{') ++depth;
    if (c == ']' || c == '}') --depth;
    if (depth > deepest) throw Error(Code::bad_input, text("is nested deeper than {} levels", deepest));
    const Word* word = nullptr;
    if (c == 'N' || c == 'I' || c == '-')
      for (const Word& w : words)
        if (given.substr(i).starts_with(w.name)) word = &w;
    if (!word) {
      out += c;
      continue;
    }
    out.append("\"").append(mark).append(word->name).append("\"");
    i += word->name.size() - 1;
  }
  return out;
}

void replace_words(Json& value) {
  if (value.is_structured()) {
    for (Json& inner : value) replace_words(inner);
    return;
  }
  if (!value.is_string()) return;
  const std::string& s = value.get_ref<const std::string&>();
  if (!s.starts_with(marked)) return;
  for (const Word& word : words)
    if (std::string_view(s).substr(marked.size()) == word.name) {
      value = word.value;
      return;
    }
}

// "line 3, column 7" of a byte.
std::string place(std::string_view whole, std::size_t at) {
  std::size_t line = 1, column = 1;
  for (char c : whole.substr(0, at)) c == '\n' ? (++line, column = 1) : ++column;
  return text("line {}, column {}", line, column);
}

}  // namespace

Json parse_json(std::string_view given) {
  std::string plain = with_words_marked(given);
  try {
    Json value = Json::parse(plain);
    if (plain.size() != given.size()) replace_words(value);
    return value;
  } catch (const Json::parse_error& e) {
    // The place is exact where no word was replaced before it, which is nearly always.
    throw Error(Code::bad_input, text("is not valid JSON at {}", place(plain, e.byte > 0 ? e.byte - 1 : 0)));
  } catch (const Json::exception&) {
    throw Error(Code::bad_input, "is not valid JSON: a number is out of range");
  }
}

Json read_json(const std::string& path) {
  return with_note([&] { return path; },
                   [&] {
                     StoragePtr file = map_file(path);
                     return parse_json(as_text({file->data(), file->size()}));
                   });
}

std::string quoted(std::string_view raw) {
  return Json(std::string(raw)).dump(-1, ' ', false, Json::error_handler_t::replace);
}

namespace {

template <class T> std::string shortest(T x) {
  if (std::isnan(x)) return "NaN";
  if (std::isinf(x)) return x > 0 ? "Infinity" : "-Infinity";
  std::string s = text("{}", x);
  return s.find_first_of(".e") == std::string::npos ? s + ".0" : s;
}

}  // namespace

std::string number_text(double x) { return shortest(x); }
std::string number_text(float x) { return shortest(x); }

}  // namespace tl::data
