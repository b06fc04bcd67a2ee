// SPDX-License-Identifier: Apache-2.0
// Options as data, over CLI11: the one file that pays for compiling it.
#include "cli/line.h"

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <charconv>

#include "base/error.h"
#include "base/text.h"

namespace tl::cli {
namespace {

[[noreturn]] void misuse(const std::string& what) { throw Error(Code::bad_use, what); }

bool is_positional(const Option& option) { return !option.name.starts_with('-'); }
bool is_flag(const Option& option) { return std::holds_alternative<bool*>(option.target); }
std::string first_name(const Option& option) { return option.name.substr(0, option.name.find(',')); }

template <class T> T number_of(const Option& option, const std::string& given, std::string_view kind) {
  T x{};
  auto [end, error] = std::from_chars(given.data(), given.data() + given.size(), x);
  if (error != std::errc() || end != given.data() + given.size())
    misuse(text("{}: '{}' is not {}", first_name(option), printable(given), kind));
  auto wide = static_cast<double>(x);
  if (!(wide >= option.lowest))
    misuse(text("{} is at least {}, not {}", first_name(option), option.lowest, printable(given)));
  if (!(wide <= option.highest))
    misuse(text("{} is at most {}, not {}", first_name(option), option.highest, printable(given)));
  return x;
}

void check_choice(const Option& option, const std::string& given) {
  const std::vector<std::string>& all = option.choices;
  if (all.empty() || given == option.hidden_choice || std::find(all.begin(), all.end(), given) != all.end())
    return;
  std::vector<std::string_view> names(all.begin(), all.end());
  misuse(text("{} cannot be '{}'{}: it is one of {}", first_name(option), printable(given),
              did_you_mean(given, names), join(all, ", ")));
}

struct Store {  // one value into a target
  const Option& option;
  const std::string& given;
  void operator()(bool* to) const { *to = true; }
  void operator()(int* to) const { *to = number_of<int>(option, given, "a whole number"); }
  void operator()(std::int64_t* to) const { *to = number_of<std::int64_t>(option, given, "a whole number"); }
  void operator()(std::uint64_t* to) const {
    *to = number_of<std::uint64_t>(option, given, "a whole number of at least 0");
  }
  void operator()(double* to) const { *to = number_of<double>(option, given, "a number"); }
  void operator()(std::string* to) const { *to = given; }
  void operator()(std::vector<std::string>* to) const { to->push_back(given); }
  void operator()(std::vector<Given>* to) const { to->push_back({first_name(option), given}); }
};

void store(const Option& option, const std::string& given) {
  check_choice(option, given);
  std::visit(Store{option, given}, option.target);
}

void add_option(CLI::App& app, const Option& option) {
  if (is_flag(option)) {
    app.add_flag_function(option.name, [&option](std::int64_t) { store(option, ""); });
    return;
  }
  app.add_option_function<std::string>(option.name,
                                       [&option](const std::string& given) { store(option, given); })
      ->trigger_on_parse()
      ->expected(1);
}

void fill_positional(std::span<const std::string> words, std::span<const Option> options) {
  std::size_t at = 0;
  for (const Option& option : options) {
    if (!is_positional(option)) continue;
    if (at == words.size() && option.required) misuse(text("{} is missing", option.name));
    bool many = std::holds_alternative<std::vector<std::string>*>(option.target);
    for (std::size_t n = 0; at < words.size() && (n == 0 || many); ++n) store(option, words[at++]);
  }
  if (at < words.size()) misuse(text("'{}' is one argument too many", printable(words[at])));
}

void refuse_unknown(const std::string& word, std::span<const Option> options) {
  std::vector<std::string_view> names{"--help"};
  for (const Option& option : options)
    if (!is_positional(option) && !option.help.empty())
      names.push_back(std::string_view(option.name).substr(0, option.name.find(',')));
  std::string name = word.substr(0, word.find('='));
  misuse(text("unknown option '{}'{}", printable(name), did_you_mean(name, names)));
}

bool takes_value(std::string_view word, std::span<const Option> options) {
  for (const Option& option : options)
    for (std::string_view name : split(option.name, ','))
      if (name == word) return !is_flag(option);
  return false;
}

void append_wrapped(std::string& page, std::string_view words, std::size_t indent) {
  std::size_t column = indent;
  for (std::string_view word : split(words, ' ')) {
    if (column > indent && column + 1 + word.size() > 100) {
      page.append("\n").append(indent, ' ');
      column = indent;
    }
    if (column > indent) page += ' ', ++column;
    page += word;
    column += word.size();
  }
  page += '\n';
}

}  // namespace

std::size_t first_bare(std::span<const std::string> words, std::span<const Option> options) {
  std::size_t i = 0;
  for (; i < words.size(); ++i) {
    if (words[i].size() < 2 || words[i][0] != '-') return i;
    if (words[i] == "--") return std::min(i + 1, words.size());
    if (takes_value(words[i], options)) ++i;
  }
  return words.size();
}

void read_line(std::vector<std::string> words, std::span<const Option> options) {
  CLI::App app;
  app.set_help_flag();
  app.allow_extras();
  for (const Option& option : options)
    if (!is_positional(option)) add_option(app, option);
  std::size_t cut = static_cast<std::size_t>(std::find(words.begin(), words.end(), "--") - words.begin());
  std::vector<std::string> after(words.begin() + static_cast<std::ptrdiff_t>(std::min(cut + 1, words.size())),
                                 words.end());
  words.resize(cut);
  std::reverse(words.begin(), words.end());  // as CLI11 takes a vector
  try {
    app.parse(std::move(words));
  } catch (const CLI::ArgumentMismatch& e) {
    std::string what = e.what();
    misuse(text("{} needs a value", what.substr(0, what.find_first_of(" :"))));
  } catch (const CLI::ParseError& e) { misuse(e.what()); }
  std::vector<std::string> bare = app.remaining();
  for (const std::string& word : bare)
    if (word.size() > 1 && word[0] == '-') refuse_unknown(word, options);
  bare.insert(bare.end(), after.begin(), after.end());
  fill_positional(bare, options);
}

std::string options_text(std::span<const Option> options) {
  constexpr std::size_t column = 26;
  std::string page;
  for (const Option& option : options) {
    if (is_positional(option) || option.help.empty()) continue;
    std::string names = option.name;
    for (std::size_t at; (at = names.find(',')) != std::string::npos && names[at + 1] != ' ';)
      names.replace(at, 1, ", ");
    std::string head = text("  {}{}{}", names, option.value.empty() ? "" : " ", option.value);
    if (head.size() + 2 > column) head += "\n" + std::string(column, ' ');
    else head.resize(column, ' ');
    page += head;
    append_wrapped(page, option.help, column);
  }
  return page;
}

std::string usage_text(std::string_view name, const Command& command) {
  std::string line = text("tl {}", name);
  for (const Option& option : command.options) {
    if (!is_positional(option)) continue;
    bool many = std::holds_alternative<std::vector<std::string>*>(option.target);
    std::string shown = option.name + (many ? "…" : "");
    line += option.required ? " " + shown : " [" + shown + "]";
  }
  if (!command.rest_name.empty()) line += " " + command.rest_name;
  bool any = std::any_of(command.options.begin(), command.options.end(),
                         [](const Option& o) { return !is_positional(o) && !o.help.empty(); });
  return any ? line + " [OPTIONS]" : line;
}

}  // namespace tl::cli
