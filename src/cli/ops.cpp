// SPDX-License-Identifier: Apache-2.0
// `tl ops`: the op table as it is, and a page about each operation.
#include <algorithm>
#include <cstdio>

#include "backend/cpu/cpu.h"
#include "base/text.h"
#include "cli/command.h"
#include "op/ane.h"

namespace tl::cli {
namespace {

std::string_view yes(bool x) { return x ? "yes" : "-"; }

std::string_view fit_name(const OpDef& op) {
  if (ane_fit(op) == Fit::native) return "yes";
  return ane_fit(op) == Fit::conditional ? "depends" : "-";
}

// What rules say, or the fact of its definition where there is none.
std::string fit_text(const OpDef& op) {
  std::vector<const AneRule*> rules = ane_rules(op);
  std::string page = text("Neural Engine  {}", fit_name(op));
  if (rules.empty() && !op.ane.note.empty()) page += text(": {}", op.ane.note);
  page += rules.empty() ? text(" ({})\n", op.ane.source) : "\n";
  constexpr std::string_view effects[] = {"", "may leave it: ", "may be slow: ", "may differ: "};
  for (const AneRule* rule : rules)
    page += text("  {}{} ({}) [{}]\n", effects[static_cast<std::size_t>(rule->effect)], rule->sentence,
                 rule->source, name_of(rule->mark));
  return page;
}

bool is_differentiable(const OpDef& op) { return op.gradient != nullptr || op.decompose != nullptr; }
bool is_function(const OpDef& op) { return !has(op.traits, Traits::structural); }

std::vector<const OpDef*> sorted_ops() {
  std::vector<const OpDef*> ops(all_ops().begin(), all_ops().end());
  std::sort(ops.begin(), ops.end(), [](const OpDef* a, const OpDef* b) { return a->name < b->name; });
  return ops;
}

constexpr const char* row_form = "{:<{}}  {:<9}  {:<3}  {:<8}  {:<34}  {:<13}  {}\n";

void print_table() {
  std::vector<const OpDef*> ops = sorted_ops();
  std::size_t width = 0;
  for (const OpDef* op : ops) width = std::max(width, op->name.size());
  std::string page = text(row_form, "operation", width, "reference", "cpu", "gradient", "Core ML",
                          "Neural Engine", "language");
  for (const OpDef* op : ops) {
    std::string mil = op->mil.name.empty()       ? "-"
                      : op->mil.name == op->name ? "yes"
                                                 : std::string(op->mil.name);
    page += text(row_form, op->name, width, yes(op->reference || op->evaluate || op->decompose),
                 yes(cpu::has_kernel(*op)), yes(is_differentiable(*op)), mil, fit_name(*op),
                 yes(is_function(*op)));
  }
  std::fputs(page.c_str(), stdout);
  std::printf(
      "%zu operations. cpu: has a kernel of its own, otherwise its reference runs. 'tl ops NAME' is a page "
      "about one.\n",
      ops.size());
}

std::string signature(const OpDef& op) {
  std::vector<std::string> words;
  for (const InputDef& input : op.inputs)
    words.push_back(std::string(input.name) + (input.arity == Arity::optional ? "?"
                                               : input.arity == Arity::many   ? "…"
                                                                              : ""));
  for (const AttrDef& attr : op.attrs) {
    bool bare = attr.fallback == required || attr.fallback == absent;
    words.push_back(bare ? text("{}:", attr.name) : text("{}: {}", attr.name, attr.fallback));
  }
  return text("{}({})", op.name, join(words, ", "));
}

std::string attr_text(const AttrDef& attr, std::size_t width) {
  constexpr const char* kinds[] = {"bool", "integer", "number", "word", "integers", "numbers", "words"};
  std::string line = text("  {:<{}}  {:<8}  ", attr.name, width, kinds[static_cast<std::size_t>(attr.kind)]);
  if (attr.fallback == required) line += "required";
  else if (attr.fallback == absent) line += "optional";
  else line += text("default {}", attr.fallback);
  return attr.choices.empty() ? line + "\n" : line + text("; one of {}\n", attr.choices);
}

void print_page(const OpDef& op) {
  std::string page = text("{}\n\n{}.\n", signature(op), op.doc);
  std::size_t width = 0;
  for (const InputDef& input : op.inputs) width = std::max(width, input.name.size());
  for (const AttrDef& attr : op.attrs) width = std::max(width, attr.name.size());
  if (op.inputs.size() > 0) page += "\nInputs\n";
  for (const InputDef& input : op.inputs) {
    constexpr const char* arities[] = {"", "optional", "any number"};
    std::string line =
        text("  {:<{}}  {}", input.name, width, arities[static_cast<std::size_t>(input.arity)]);
    page += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
  }
  if (op.attrs.size() > 0) page += "\nAttributes\n";
  for (const AttrDef& attr : op.attrs) page += attr_text(attr, width);
  if (op.outputs.size() > 0) page += "\nOutputs\n";
  for (std::string_view output : op.outputs) page += text("  {}\n", output);
  page += text("\nCore ML        {}\n", op.mil.name.empty()
                                            ? "no operation of its own"
                                            : text("{}, since iOS {}", op.mil.name,
                                                   op.mil.since < 9 ? op.mil.since + 10 : op.mil.since + 17));
  page += text("Gradient       {}\n", yes(is_differentiable(op)));
  page += text("CPU            {}\n", cpu::has_kernel(op) ? "a kernel of its own" : "its reference");
  page += fit_text(op);
  std::fputs(page.c_str(), stdout);
}

}  // namespace

Command ops_command() {
  struct Options {
    std::string name = {};
    bool names = false;
  };
  auto o = std::make_shared<Options>();
  Command command;
  command.about =
      "Lists the operations: of graphs, of Core ML programs, and functions of the language. With a name, a "
      "page about it.";
  command.example = "  tl ops\n  tl ops conv\n";
  command.options = {argument("NAME", &o->name, false),
                     {"--names", "", "only the names, one a line", &o->names}};
  command.run = [o](Global&) {
    if (!o->name.empty()) print_page(find_op(o->name));
    else if (o->names)
      for (const OpDef* op : sorted_ops())
        std::printf("%.*s\n", static_cast<int>(op->name.size()), op->name.data());
    else print_table();
    return 0;
  };
  return command;
}

}  // namespace tl::cli
