// SPDX-License-Identifier: Apache-2.0
// `tl predict --expect`: the worst element, named.
#include <cmath>

#include "base/error.h"
#include "base/text.h"
#include "cli/result.h"
#include "model/feature_json.h"

namespace tl::cli {
namespace {

[[noreturn]] void differ(const std::string& what) { throw Error(Code::bad_input, what); }

std::string index_text(std::int64_t at, const Shape& shape) {
  if (shape.empty()) return "";
  std::vector<std::int64_t> index(shape.size());
  for (std::size_t d = shape.size(); d-- > 0; at /= shape[d]) index[d] = at % shape[d];
  return text_of(index);
}

// Collects the differences of numbers.
class Comparison {
 public:
  explicit Comparison(const Tolerance& tolerance) : tolerance_(tolerance) {}

  // place() names the element; only asked for the worst.
  template <class Place> void number(double got, double want, const Place& place) {
    ++count_;
    bool equal = got == want || (std::isnan(got) && std::isnan(want));
    double difference = equal ? 0 : std::fabs(got - want);
    if (std::isnan(difference)) difference = INFINITY;
    double excess = equal ? 0 : difference - (tolerance_.absolute + tolerance_.relative * std::fabs(want));
    if (std::isnan(excess)) excess = INFINITY;  // infinite where a number was expected, or the reverse
    if (excess > 0) ++wrong_;
    if (difference > largest_) largest_ = difference, largest_place_ = place();
    if (excess > worst_) {
      worst_ = excess;
      worst_line_ = text("{} is {:.9g}, expected {:.9g}: difference {:.3g}", place(), got, want, difference);
    }
  }

  void count_texts(std::int64_t n) { count_ += n; }

  std::string verdict() const {
    if (wrong_ > 0)
      differ(text("{} ({} of {} values differ by more than {:g} + {:g} × |expected|)", worst_line_, wrong_,
                  count_, tolerance_.absolute, tolerance_.relative));
    std::string where = largest_ > 0 ? " at " + largest_place_ : "";
    return text("as expected: {} values, largest difference {:.3g}{}", count_, largest_, where);
  }

 private:
  Tolerance tolerance_;
  std::int64_t count_ = 0, wrong_ = 0;
  double largest_ = 0, worst_ = 0;
  std::string largest_place_ = {}, worst_line_ = {};
};

void compare_tensors(Comparison& all, const Tensor& got, const Tensor& want, const std::string& name) {
  bool scalars = got.size() == 1 && want.size() == 1;
  if (got.shape() != want.shape() && !scalars)
    differ(text("'{}' has shape {}, expected {}", name, text_of(got.shape()), text_of(want.shape())));
  if ((got.dtype() == DType::string) != (want.dtype() == DType::string))
    differ(text("'{}' is {}, expected {}", name, text_of(got.type()), text_of(want.type())));
  if (got.dtype() == DType::string) {
    for (std::size_t i = 0; i < static_cast<std::size_t>(got.size()); ++i) {
      const std::string &g = got.as<std::string>()[i], &w = want.as<std::string>()[i];
      all.count_texts(1);
      if (g != w)
        differ(text("'{}'{} is '{}', expected '{}'", name,
                    index_text(static_cast<std::int64_t>(i), want.shape()), printable(g), printable(w)));
    }
    return;
  }
  std::vector<double> g = to_doubles(got), w = to_doubles(want);
  for (std::size_t i = 0; i < g.size(); ++i)
    all.number(g[i], w[i],
               [&] { return text("'{}'{}", name, index_text(static_cast<std::int64_t>(i), want.shape())); });
}

void compare_dictionaries(Comparison& all, const Dictionary& got, const Dictionary& want,
                          const std::string& name) {
  std::vector<DictionaryEntry> entries = sorted_entries(got);
  for (const DictionaryEntry& expected : sorted_entries(want)) {
    const DictionaryEntry* found = nullptr;
    for (const DictionaryEntry& entry : entries)
      if (entry.key == expected.key) found = &entry;
    if (!found) differ(text("'{}' has no entry '{}'", name, printable(expected.key)));
    all.number(found->value, expected.value,
               [&] { return text("'{}'['{}']", name, printable(expected.key)); });
  }
}

void compare_values(Comparison& all, const FeatureValue& got, const FeatureValue& want,
                    const std::string& name) {
  const auto *g = std::get_if<Dictionary>(&got), *w = std::get_if<Dictionary>(&want);
  if (g && w) return compare_dictionaries(all, *g, *w, name);
  if (g || w)
    differ(text("'{}' is {}a dictionary, which was {}expected", name, g ? "" : "not ", g ? "not " : ""));
  compare_tensors(all, *array_of(got), *array_of(want), name);
}

void compare_rows(Comparison& all, const Features& got, const Features& want) {
  for (const auto& [name, expected] : want) {
    const FeatureValue* value = find(got, name);
    if (!value) {
      std::vector<std::string_view> names;
      for (const auto& output : got) names.push_back(output.first);
      differ(text("there is no output '{}'{}", printable(name), did_you_mean(name, names)));
    }
    compare_values(all, *value, expected, name);
  }
}

}  // namespace

std::string compare(const Rows& results, const Rows& expected, const Tolerance& tolerance) {
  Comparison all(tolerance);
  if (results.batch && !expected.batch) {  // arrays of all rows
    compare_rows(all, stacked(results.rows), expected.rows.front());
    return all.verdict();
  }
  if (results.rows.size() != expected.rows.size())
    differ(text("{} predictions, expected {}", results.rows.size(), expected.rows.size()));
  for (std::size_t k = 0; k < results.rows.size(); ++k) {
    auto compare_one = [&] { compare_rows(all, results.rows[k], expected.rows[k]); };
    if (!results.batch) compare_one();
    else with_note([&] { return text("row {}", k); }, compare_one);
  }
  return all.verdict();
}

}  // namespace tl::cli
