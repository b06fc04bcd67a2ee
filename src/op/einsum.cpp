// SPDX-License-Identifier: Apache-2.0
// Reading and writing einsum equations.
#include "op/einsum.h"

#include <algorithm>
#include <array>

#include "base/error.h"
#include "base/text.h"

namespace tl {
namespace {

constexpr std::string_view letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

[[noreturn]] void bad(std::string_view equation, std::string_view why) {
  throw Error(Code::bad_input, text("equation '{}' {}", printable(equation), why));
}

struct Term {
  std::string before, after;  // letters around the ellipsis
  bool ellipsis = false;
};

Term parse_term(std::string_view part, std::string_view whole) {
  Term term;
  for (std::size_t i = 0; i < part.size(); ++i) {
    if (part[i] == ' ') continue;
    if (part.substr(i).starts_with("...")) {
      if (term.ellipsis) bad(whole, "has two ellipses in one term");
      term.ellipsis = true;
      i += 2;
    } else if (letters.find(part[i]) == std::string_view::npos) {
      bad(whole, text("has '{}', which is no label", printable(part.substr(i, 1))));
    } else {
      (term.ellipsis ? term.after : term.before) += part[i];
    }
  }
  return term;
}

std::size_t named(const Term& term) { return term.before.size() + term.after.size(); }

class Numbering {  // letters in order of appearance, after the labels of the ellipsis
 public:
  explicit Numbering(int first) : next_(first) { of_.fill(-1); }
  int operator()(char letter) {
    int& label = of_[letters.find(letter)];
    if (label < 0) label = next_++;
    return label;
  }
  bool has(char letter) const { return of_[letters.find(letter)] >= 0; }
  int count() const { return next_; }

 private:
  std::array<int, letters.size()> of_;
  int next_;
};

Labels labels_of(const Term& term, int hidden, int ellipsis, Numbering& number) {
  Labels out;
  for (char c : term.before) out.push_back(number(c));
  for (int i = ellipsis - hidden; i < ellipsis; ++i) out.push_back(i);
  for (char c : term.after) out.push_back(number(c));
  return out;
}

Term implied_output(std::span<const Term> terms) {
  Term out;
  for (char c : letters) {
    std::ptrdiff_t uses = 0;
    for (const Term& t : terms)
      uses += std::count(t.before.begin(), t.before.end(), c) + std::count(t.after.begin(), t.after.end(), c);
    if (uses == 1) out.after += c;
  }
  out.ellipsis = std::any_of(terms.begin(), terms.end(), [](const Term& t) { return t.ellipsis; });
  return out;
}

}  // namespace

Equation parse_equation(std::string_view equation, std::span<const std::size_t> ranks) {
  std::size_t arrow = equation.find("->");
  std::vector<Term> terms;
  for (std::string_view part : split(equation.substr(0, arrow), ','))
    terms.push_back(parse_term(part, equation));
  if (terms.size() != ranks.size())
    bad(equation, text("has {} terms for {} inputs", terms.size(), ranks.size()));
  Term output = arrow == std::string_view::npos ? implied_output(terms)
                                                : parse_term(equation.substr(arrow + 2), equation);
  std::vector<int> hidden;
  for (std::size_t i = 0; i < terms.size(); ++i) {
    bool fits = terms[i].ellipsis ? named(terms[i]) <= ranks[i] : named(terms[i]) == ranks[i];
    if (!fits) bad(equation, text("has {} labels for input {} of rank {}", named(terms[i]), i, ranks[i]));
    hidden.push_back(static_cast<int>(ranks[i] - named(terms[i])));
  }
  int ellipsis = *std::max_element(hidden.begin(), hidden.end());
  Numbering number(ellipsis);
  Equation result;
  for (std::size_t i = 0; i < terms.size(); ++i)
    result.inputs.push_back(labels_of(terms[i], hidden[i], ellipsis, number));
  for (char c : output.before + output.after) {
    if (!number.has(c)) bad(equation, text("has '{}' in the output alone", c));
  }
  result.output = labels_of(output, output.ellipsis ? ellipsis : 0, ellipsis, number);
  result.labels = number.count();
  Labels sorted = result.output;
  std::sort(sorted.begin(), sorted.end());
  if (std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end())
    bad(equation, "repeats a label in the output");
  return result;
}

std::vector<Dim> label_lengths(const Equation& eq, std::span<const Shape> shapes) {
  std::vector<Dim> lengths(static_cast<std::size_t>(eq.labels), 1);
  for (std::size_t i = 0; i < shapes.size(); ++i)
    for (std::size_t d = 0; d < shapes[i].size(); ++d) {
      Dim& length = lengths[static_cast<std::size_t>(eq.inputs[i][d])];
      length = broadcast(std::span(&length, 1), std::span(&shapes[i][d], 1)).front();
    }
  return lengths;
}

std::string text_of(const Equation& eq) {
  auto letter = [](int label) {
    if (label >= static_cast<int>(letters.size()))
      throw Error(Code::unsupported, "an equation of more than 52 labels");
    return letters[(static_cast<std::size_t>(label) + 26) % letters.size()];
  };
  std::string out;
  for (const Labels& input : eq.inputs) {
    if (!out.empty()) out += ',';
    for (int label : input) out += letter(label);
  }
  out += "->";
  for (int label : eq.output) out += letter(label);
  return out;
}

Equation matmul_equation(std::size_t x_rank, std::size_t y_rank, bool transpose_x, bool transpose_y) {
  Equation eq;
  int batch = static_cast<int>(std::max<std::size_t>({x_rank, y_rank, 2})) - 2;
  int m = batch, k = batch + 1, n = batch + 2;
  eq.labels = batch + 3;
  eq.inputs.resize(2);
  auto put_batch = [&](Labels& to, std::size_t rank) {
    for (int i = batch + 2 - static_cast<int>(rank); i < batch; ++i) to.push_back(i);
  };
  auto put = [&](Labels& to, std::size_t rank, int row, int column, bool transpose) {
    put_batch(to, rank);
    to.push_back(transpose ? column : row);
    to.push_back(transpose ? row : column);
  };
  if (x_rank == 1) eq.inputs[0] = {k};
  else put(eq.inputs[0], x_rank, m, k, transpose_x);
  if (y_rank == 1) eq.inputs[1] = {k};
  else put(eq.inputs[1], y_rank, k, n, transpose_y);
  for (int i = 0; i < batch; ++i) eq.output.push_back(i);
  if (x_rank > 1) eq.output.push_back(m);
  if (y_rank > 1) eq.output.push_back(n);
  return eq;
}

}  // namespace tl
