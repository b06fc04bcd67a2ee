// SPDX-License-Identifier: Apache-2.0
// Results to files and to the terminal.
#include "cli/result.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "format/data/npy.h"
#include "model/feature_json.h"

namespace tl::cli {
namespace {

constexpr std::size_t most_rows = 20;      // printed of a batch
constexpr std::int64_t most_elements = 6;  // printed of an array

void write_arrays(const std::string& path, const Rows& results, const Global& global) {
  data::NamedArrays arrays;
  std::vector<std::string> left_out;
  for (const auto& [name, value] : results.batch ? stacked(results.rows) : results.rows.front()) {
    std::optional<Tensor> array = array_of(value);
    if (array) arrays.emplace_back(name, *array);
    else left_out.push_back(text("'{}'", name));
  }
  if (left_out.empty()) return data::write_npz(path, arrays);
  std::string which = join(left_out, ", ");
  if (arrays.empty())
    throw Error(
        Code::bad_use,
        text("{}: {} cannot be written: an .npz holds no dictionaries, a .json file does", path, which));
  data::write_npz(path, arrays);
  global.notice(text("{}: left out {}: an .npz holds no dictionaries, a .json file does", path, which));
}

std::string number(double x) { return text("{:.6g}", x); }

std::string first_elements(const Tensor& t) {
  std::vector<std::string> shown;
  std::int64_t n = std::min(t.size(), most_elements);
  if (t.dtype() == DType::string)
    for (std::int64_t i = 0; i < n; ++i)
      shown.push_back(data::quoted(t.as<std::string>()[static_cast<std::size_t>(i)]));
  else {
    std::vector<double> values = to_doubles(t);
    for (std::int64_t i = 0; i < n; ++i) shown.push_back(number(values[static_cast<std::size_t>(i)]));
  }
  return "[" + join(shown, ", ") + (t.size() > n ? ", …]" : "]");
}

std::string summary(const Tensor& t) {
  std::string line = text_of(t.type()) + "  ";
  if (t.dtype() == DType::string || t.size() <= 1) return line + first_elements(t);
  double least = INFINITY, most = -INFINITY, sum = 0;
  std::int64_t finite = 0;
  for (double x : to_doubles(t)) {
    if (!std::isfinite(x)) continue;
    least = std::min(least, x), most = std::max(most, x), sum += x;
    ++finite;
  }
  if (finite > 0)
    line += text("min {}  max {}  mean {}  ", number(least), number(most),
                 number(sum / static_cast<double>(finite)));
  if (finite < t.size()) line += text("{} not finite  ", t.size() - finite);
  return line + first_elements(t);
}

std::string lines_of_dictionary(const Dictionary& dictionary, int top, std::string_view indent) {
  std::vector<DictionaryEntry> entries = sorted_entries(dictionary);
  std::size_t shown = std::min(entries.size(), static_cast<std::size_t>(top)), width = 0;
  for (std::size_t i = 0; i < shown; ++i) width = std::max(width, printable(entries[i].key).size());
  std::string lines = text("{} entries\n", entries.size());
  for (std::size_t i = 0; i < shown; ++i)
    lines += text("{}  {:<{}}  {:.6f}\n", indent, printable(entries[i].key), width, entries[i].value);
  if (shown < entries.size())
    lines += text("{}  … and {} more (--top {})\n", indent, entries.size() - shown, entries.size());
  return lines;
}

struct Shown {
  int top;
  std::string_view indent;
  std::string operator()(const Tensor& t) const { return summary(t) + "\n"; }
  std::string operator()(const Image& image) const {
    return text("image {} × {} {}  {}\n", image.width(), image.height(),
                image.pixels.rank() == 2 ? "gray" : "RGB", summary(image.pixels));
  }
  std::string operator()(std::int64_t n) const { return text("{}\n", n); }
  std::string operator()(double x) const { return number(x) + "\n"; }
  std::string operator()(const std::string& s) const { return printable(s, 1000) + "\n"; }
  std::string operator()(const Dictionary& dictionary) const {
    return lines_of_dictionary(dictionary, top, indent);
  }
};

void print_row(const Features& row, int top, std::string_view indent) {
  std::size_t width = 0;
  for (const auto& [name, value] : row) width = std::max(width, printable(name).size());
  for (const auto& [name, value] : row)
    std::fputs(
        text("{}{:<{}}  {}", indent, printable(name), width, std::visit(Shown{top, indent}, value)).c_str(),
        stdout);
}

}  // namespace

void write_results(const std::string& path, const Rows& results, const Global& global) {
  if (path.ends_with(".npz")) return write_arrays(path, results, global);
  std::string whole = results.batch ? json_of(results.rows) : json_of(results.rows.front()) + "\n";
  write_file(path, as_bytes(whole));
}

void print_results(const Rows& results, int top) {
  if (!results.batch) return print_row(results.rows.front(), top, "");
  for (std::size_t k = 0; k < std::min(results.rows.size(), most_rows); ++k) {
    std::printf("row %zu\n", k);
    print_row(results.rows[k], top, "  ");
  }
  if (results.rows.size() > most_rows)
    std::printf("… and %zu more rows: write them with --outputs\n", results.rows.size() - most_rows);
}

}  // namespace tl::cli
