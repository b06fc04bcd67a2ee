// SPDX-License-Identifier: Apache-2.0
// `tl show`: what is in a model file, for people.
#include "cli/show.h"

#include <algorithm>
#include <cstdio>

#include "base/error.h"
#include "base/text.h"
#include "cli/interface.h"
#include "model/model.h"
#include "model/operation_table.h"

namespace tl::cli {
namespace {

constexpr std::size_t most_tensors = 20, most_pairs = 40, most_items = 6, most_lines = 40;

std::string grouped(std::int64_t n) {  // 1,234,567
  std::string digits = text("{}", n);
  for (std::size_t at = digits.size(); at > 3 && at - 3 > (digits[0] == '-' ? 1u : 0u); at -= 3)
    digits.insert(at - 3, ",");
  return digits;
}

std::string size_text(std::uint64_t bytes) {
  if (bytes < 1024) return text("{} bytes", bytes);
  constexpr const char* units[] = {"KiB", "MiB", "GiB", "TiB"};
  double size = static_cast<double>(bytes) / 1024;
  std::size_t unit = 0;
  for (; size >= 1024 && unit < 3; ++unit) size /= 1024;
  return text("{:.1f} {}", size, units[unit]);
}

void line(std::string& page, std::string_view label, const std::string& value, std::size_t longest = 200) {
  if (!value.empty()) page += text("  {:<14}{}\n", label, printable(value, longest));
}

std::string weights_text(const Metadata& m) {
  if (m.precisions.empty()) return "";
  std::string all = text("{} parameters in {}", grouped(m.parameters), size_text(m.bytes));
  if (m.precisions.size() == 1) return all;
  for (std::size_t i = 0; i < m.precisions.size(); ++i)
    all += text("{}{} {}", i ? ", " : ": ", m.precisions[i].name, size_text(m.precisions[i].bytes));
  return all;
}

std::string format_text(const ModelFile& file, const Metadata& m) {
  std::string all = m.format;
  if (!file.container.empty()) all += text(" ({})", file.container);
  if (m.format == "CoreML") all += text(", specification version {}", m.spec_version);
  else if (m.spec_version > 0) all += text(" version {}", m.spec_version);
  return m.opset.empty() ? all : text("{}, opset {}", all, m.opset);
}

// How an operation looks in a table: columns of names and counts, as many as fit.
std::string counts_text(std::span<const std::pair<std::string, std::int64_t>> counts) {
  std::size_t width = 0;
  for (const auto& [name, n] : counts) width = std::max(width, printable(name).size());
  std::size_t columns = std::clamp<std::size_t>(100 / (width + 10), 1, 4),
              rows = (counts.size() + columns - 1) / columns;
  std::string page;
  for (std::size_t r = 0; r < rows; ++r) {
    std::string row = " ";
    for (std::size_t k = r; k < counts.size(); k += rows)
      row += text(" {:<{}} {:>5}   ", printable(counts[k].first), width, counts[k].second);
    page += row.substr(0, row.find_last_not_of(' ') + 1) + "\n";
  }
  return page;
}

// A line for each kind of operation, with what its weights and products come to.
std::string table_text(const std::vector<OperationRow>& rows) {
  std::size_t width = 0;
  for (const OperationRow& r : rows) width = std::max(width, r.name.size());
  std::string page;
  for (const OperationRow& r : rows) {
    std::string row = text("  {:<{}} {:>6}", r.name, width, grouped(r.count));
    if (r.parameters) row += text("  {} parameters", grouped(r.parameters));
    if (!r.multiply_adds) row += "  multiply-adds depend on the input";
    else if (*r.multiply_adds) row += text("  {} multiply-adds", grouped(*r.multiply_adds));
    for (const auto& [type, bytes] : r.bytes) row += text("  {} {}", type, size_text(bytes));
    page += row + "\n";
  }
  return page;
}

std::string totals_text(const std::vector<OperationRow>& rows) {
  std::int64_t sum = 0;
  for (const OperationRow& r : rows) {
    if (!r.multiply_adds) return "";
    sum += *r.multiply_adds;
  }
  return sum ? text(", {} multiply-adds", grouped(sum)) : "";
}

// One that the file holds as such; graphs that readers made of other models are our own affair.
bool is_program(const Function& function) { return function.graph && !function.opset.empty(); }

std::string operations_text(const ModelFile& file, const Function& function, bool several) {
  std::vector<std::pair<std::string, std::int64_t>> counts = operation_counts(file, function);
  if (counts.empty()) return "";
  std::int64_t total = 0;
  for (const auto& [name, n] : counts) total += n;
  std::string where = several ? text(" of function {}", printable(function.name)) : "";
  if (!is_program(function))
    return text("{}{}: {}\n{}", counts_layers(file, function) ? "Layers" : "Operations", where,
                grouped(total), counts_text(counts));
  std::vector<OperationRow> rows = operation_table(function);
  return text("Operations{}: {}{}\n", where, grouped(total), totals_text(rows)) + table_text(rows);
}

std::string functions_text(const ModelFile& file) {
  std::string page = "Functions\n";
  for (const Function& function : file.functions) {
    page += text("  {}{}\n", printable(function.name),
                 function.name == file.default_function ? " (default)" : "");
    if (function.interface.inputs.size() + function.interface.outputs.size() == 0) continue;
    std::string inner = interface_text(function.interface);
    for (std::string_view row : split(inner, '\n'))
      if (!row.empty()) page += text("    {}\n", row);
  }
  return page;
}

std::string tensors_text(const ModelFile& file) {
  std::size_t shown = std::min(file.tensors.size(), most_tensors), width = 0;
  for (std::size_t i = 0; i < shown; ++i) width = std::max(width, printable(file.tensors[i].name).size());
  std::string page = text("Tensors: {}\n", grouped(static_cast<std::int64_t>(file.tensors.size())));
  for (std::size_t i = 0; i < shown; ++i) {
    const NamedTensor& t = file.tensors[i];
    page += text("  {:<{}}  {:<6} {}{}\n", printable(t.name), width, t.stored, text_of(t.shape),
                 t.readable ? "" : "  (shown only: not read as numbers)");
  }
  if (shown < file.tensors.size())
    page += text("  … and {} more (--json lists all)\n", file.tensors.size() - shown);
  return page;
}

std::string pairs_text(const ModelFile& file) {
  std::string page;
  std::size_t width = 0, shown = 0;
  for (const auto& [key, value] : file.meta)
    width = std::max(width, std::min<std::size_t>(printable(key).size(), 48));
  for (const auto& [key, value] : file.user)
    width = std::max(width, std::min<std::size_t>(printable(key).size(), 48));
  for (const auto& [key, value] : file.meta)
    if (++shown <= most_pairs) page += text("  {:<{}}  {}\n", printable(key), width, short_text(value));
  if (shown > most_pairs) page += text("  … and {} more (--json lists all)\n", shown - most_pairs);
  for (const auto& [key, value] : file.user)
    page += text("  {:<{}}  {}\n", printable(key), width, printable(value, 120));
  return page.empty() ? page : "Metadata\n" + page;
}

void append_part(std::string& page, const std::string& name, const ModelFile& part, std::size_t depth) {
  std::string indent(2 * depth, ' ');
  page += text("{}{}  {}\n", indent, printable(name), part.type);
  if (const Function* function = default_function_of(part)) {
    std::string inner = interface_text(function->interface);
    for (std::string_view row : split(inner, '\n'))
      if (!row.empty()) page += text("{}  {}\n", indent, row);
  }
  for (const auto& [inner, model] : part.parts) append_part(page, inner, model, depth + 1);
}

std::string why_not_text(const ModelFile& file) {
  if (file.functions.empty())
    return "it holds weights and no program: read them in a script with load_model(…).get_tensor(\"NAME\")";
  return why_not_run(file, *default_function_of(file));
}

std::string page_of(const ModelFile& file) {
  Metadata m = metadata_of(file);
  std::string page = printable(file.path, 1000) + "\n";
  line(page, "Format", format_text(file, m));
  line(page, "Type", m.type);
  line(page, "Name", m.name);
  line(page, "Description", m.description);
  line(page, "Author", m.author);
  line(page, "License", m.license);
  line(page, "Version", m.version);
  line(page, "Quantization", m.quantization);
  line(page, "Weights", weights_text(m));
  line(page, "Cannot run", why_not_text(file), 1000);
  if (file.functions.size() > 1) page += functions_text(file);
  else page += interface_text(m.interface);
  if (!m.interface.predicted_feature.empty())
    page += text("Predicts {}\n", printable(m.interface.predicted_feature));
  for (const Function& function : file.functions)
    page += operations_text(file, function, file.functions.size() > 1);
  if (!file.parts.empty()) page += "Parts, in order\n";
  for (const auto& [name, part] : file.parts) append_part(page, name, part, 1);
  bool graph = std::any_of(file.functions.begin(), file.functions.end(),
                           [](const Function& f) { return f.graph.has_value(); });
  if (!file.tensors.empty() && !graph) page += tensors_text(file);
  page += pairs_text(file);
  for (const Function& function : file.functions)
    if (is_program(function)) page += "Program\n" + program_text(function, most_lines);
  return page;
}

std::string programs_of(const ModelFile& file) {
  std::string page;
  for (const Function& function : file.functions)
    page += program_text(function, std::numeric_limits<std::size_t>::max());
  for (const auto& [name, part] : file.parts) page += programs_of(part);
  return page.empty() ? throw Error(Code::unsupported, text("{}: {}", file.path, why_not_text(file))) : page;
}

}  // namespace

std::string short_text(const MetaValue& value) {
  struct Text {
    std::string operator()(bool b) const { return b ? "true" : "false"; }
    std::string operator()(std::int64_t n) const { return text("{}", n); }
    std::string operator()(std::uint64_t n) const { return text("{}", n); }
    std::string operator()(double x) const { return text("{:.9g}", x); }
    std::string operator()(const std::string& s) const { return printable(s, 100); }
    std::string operator()(const std::vector<MetaValue>& list) const {
      std::string all = "[";
      for (std::size_t i = 0; i < std::min(list.size(), most_items); ++i)
        all += (i ? ", " : "") + short_text(list[i]);
      return all + (list.size() > most_items ? text(", …] ({} items)", list.size()) : "]");
    }
  };
  return std::visit(Text{}, value.value);
}

Command show_command() {
  struct Options {
    std::string model = {};
    bool json = false, program = false;
  };
  auto o = std::make_shared<Options>();
  Command command;
  command.about =
      "Says what is in a model file: format, type, interface, operations, weights, precision, "
      "metadata.\nReads .mlpackage, .mlmodel, .mlmodelc, .gguf and .safetensors, also those that cannot run.";
  command.example = "  tl show model.mlpackage\n  tl show weights.gguf --json\n";
  command.options = {argument("MODEL", &o->model),
                     {"--json", "", "the same as data, everything listed", &o->json},
                     {"--program", "", "only the program, all of it", &o->program}};
  command.run = [o](Global&) {
    ModelFile file = read_model(o->model);
    std::fputs((o->json ? json_of(file) : o->program ? programs_of(file) : page_of(file)).c_str(), stdout);
    return 0;
  };
  return command;
}

}  // namespace tl::cli
