// SPDX-License-Identifier: Apache-2.0
// Words, categories, dictionaries: one function per kind of conversion.
#include "model/convert.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <numeric>
#include <set>

#include "base/error.h"
#include "base/text.h"
#include "model/feature.h"

namespace tl {
namespace {

[[noreturn]] void fail(const std::string& what) { throw Error(Code::bad_input, what); }

std::int64_t whole_number(const std::string& word) {
  std::int64_t n = 0;
  auto [end, wrong] = std::from_chars(word.data(), word.data() + word.size(), n);
  if (wrong != std::errc() || end != word.data() + word.size())
    fail(text("the key '{}' is not a whole number", printable(word)));
  return n;
}

std::vector<std::string> words_in(const Tensor& t) {
  if (t.dtype() == DType::string) return {t.as<std::string>().begin(), t.as<std::string>().end()};
  std::vector<std::string> out;
  for (std::int64_t n : to_integers(t)) out.push_back(text("{}", n));
  return out;
}

// A known set of words or whole numbers, and the place of each. Keys are compared as text. A few are looked
// for one by one; for many, an index is worth its making.
class Places {
 public:
  explicit Places(const Tensor& known) : known_(known) {}

  std::optional<std::size_t> find(const std::string& key) {
    if (++asked_ <= 8) return scan(key);
    if (places_.empty())
      for (std::string& word : words_in(known_)) places_.emplace(std::move(word), places_.size());
    auto found = places_.find(key);
    return found == places_.end() ? std::nullopt : std::optional(found->second);
  }

 private:
  std::optional<std::size_t> scan(const std::string& key) const {
    auto among = [](const auto& all, const auto& wanted) -> std::optional<std::size_t> {
      auto found = std::find(all.begin(), all.end(), wanted);
      if (found == all.end()) return std::nullopt;
      return static_cast<std::size_t>(found - all.begin());
    };
    if (known_.dtype() == DType::string) return among(known_.as<std::string>(), key);
    std::int64_t number = 0;
    auto [end, wrong] = std::from_chars(key.data(), key.data() + key.size(), number);
    if (wrong != std::errc() || end != key.data() + key.size()) return std::nullopt;
    return among(known_.as<std::int64_t>(), number);
  }

  const Tensor& known_;
  std::size_t asked_ = 0;
  std::map<std::string, std::size_t, std::less<>> places_ = {};
};

// A value as the words or numbers in it.
std::vector<std::string> categories_in(const Feature& feature, const FeatureValue& value) {
  if (const auto* word = std::get_if<std::string>(&value)) return {*word};
  if (const auto* number = std::get_if<std::int64_t>(&value)) return {text("{}", *number)};
  if (const auto* real = std::get_if<double>(&value);
      real && static_cast<double>(static_cast<std::int64_t>(std::clamp(*real, -1e18, 1e18))) == *real)
    return {text("{}", static_cast<std::int64_t>(*real))};
  if (const auto* t = std::get_if<Tensor>(&value)) return words_in(*t);
  fail(text("input '{}' takes {}", feature.name, describe(feature)));
}

struct Call {
  const Function& function;
  const Features& inputs;

  const Feature& only_input() const {
    if (function.interface.inputs.size() != 1) fail("the model must have one input");
    return function.interface.inputs.front();
  }
  const Feature& only_output() const {
    if (function.interface.outputs.size() != 1) fail("the model must have one output");
    return function.interface.outputs.front();
  }
  const FeatureValue& value(const Feature& feature) const {
    const FeatureValue* found = find(inputs, feature.name);
    if (!found) fail(text("input '{}' is missing: it takes {}", feature.name, describe(feature)));
    return *found;
  }
  const Dictionary& dictionary(const Feature& feature) const {
    const auto* found = std::get_if<Dictionary>(&value(feature));
    if (!found) fail(text("input '{}' takes {}", feature.name, describe(feature)));
    return *found;
  }
};

// Places and their numbers as the declared output: an array of length n, or a dictionary.
FeatureValue spread(const Feature& output, const std::map<std::size_t, double>& at, std::size_t n) {
  if (output.kind == FeatureKind::dictionary) {
    std::vector<std::int64_t> keys;
    std::vector<double> values;
    for (auto [place, value] : at) keys.push_back(static_cast<std::int64_t>(place)), values.push_back(value);
    auto size = static_cast<Dim>(keys.size());
    return Dictionary{from_integers(keys, DType::i64, {size}), from_doubles(values, DType::f64, {size})};
  }
  std::vector<double> all(n, 0);
  for (auto [place, value] : at) all[place] = value;
  return from_doubles(all, output.kind == FeatureKind::tensor ? output.dtype : DType::f64,
                      {static_cast<Dim>(n)});
}

// ---- kinds

Features run(const CopyFeatures&, const Call& call) {
  const std::vector<Feature>&in = call.function.interface.inputs, &out = call.function.interface.outputs;
  Features outputs;
  for (std::size_t i = 0; i < out.size(); ++i) {
    const FeatureValue* value = find(call.inputs, out[i].name);
    if (!value && i < in.size()) value = find(call.inputs, in[i].name);
    if (value) outputs.emplace_back(out[i].name, *value);
    else if (!out[i].optional) fail(text("nothing is given that could be the output '{}'", out[i].name));
  }
  return outputs;
}

Features run(const MapCategories& map, const Call& call) {
  const Feature& output = call.only_output();
  Places places(map.keys);
  std::vector<std::string> words;
  std::vector<std::int64_t> numbers;
  bool to_words = map.values.dtype() == DType::string;
  for (const std::string& key : categories_in(call.only_input(), call.value(call.only_input()))) {
    std::optional<std::size_t> at = places.find(key);
    if (!at && !map.otherwise) fail(text("the category '{}' is not known", printable(key)));
    const Tensor& from = at ? map.values : *map.otherwise;
    if (to_words) words.push_back(from.as<std::string>()[at.value_or(0)]);
    else numbers.push_back(from.as<std::int64_t>()[at.value_or(0)]);
  }
  auto n = static_cast<Dim>(std::max(words.size(), numbers.size()));
  bool many = output.kind == FeatureKind::sequence || output.kind == FeatureKind::tensor || n != 1;
  if (many && to_words) return {{output.name, from_strings(std::move(words), {n})}};
  if (many) return {{output.name, from_integers(numbers, DType::i64, {n})}};
  if (to_words) return {{output.name, words[0]}};
  return {{output.name, numbers[0]}};
}

Features run(const EncodeCategory& encode, const Call& call) {
  Places places(encode.categories);
  std::map<std::size_t, double> hot;
  for (const std::string& key : categories_in(call.only_input(), call.value(call.only_input()))) {
    std::optional<std::size_t> at = places.find(key);
    if (at) hot[*at] = 1;
    else if (!encode.ignore_unknown) fail(text("the category '{}' is not known", printable(key)));
  }
  const Feature& output = call.only_output();
  return {{output.name, spread(output, hot, static_cast<std::size_t>(encode.categories.size()))}};
}

Features run(const IndexDictionary& index, const Call& call) {
  Places places(index.keys);
  const Dictionary& given = call.dictionary(call.only_input());
  std::vector<std::string> keys = words_in(given.keys);
  std::vector<double> values = to_doubles(given.values);
  std::map<std::size_t, double> at;
  for (std::size_t i = 0; i < keys.size(); ++i)
    if (std::optional<std::size_t> place = places.find(keys[i])) at[*place] = values[i];
  const Feature& output = call.only_output();
  return {{output.name, spread(output, at, static_cast<std::size_t>(index.keys.size()))}};
}

Features run(const FillIn& fill, const Call& call) {
  const Feature &input = call.only_input(), &output = call.only_output();
  const FeatureValue* value = find(call.inputs, input.name);
  if (input.kind != FeatureKind::dictionary) {
    const auto* word = value ? std::get_if<std::string>(value) : nullptr;
    if (value && !word) fail(text("input '{}' takes {}", input.name, describe(input)));
    return {{output.name, !word || *word == fill.missing_word ? fill.word : *word}};
  }
  Dictionary given =
      value ? call.dictionary(input) : Dictionary{from_strings({}, {0}), from_doubles({}, DType::f64, {0})};
  std::map<std::string, double> known;
  std::vector<std::string> fill_keys = words_in(fill.dictionary.keys), keys = words_in(given.keys);
  std::vector<double> fill_values = to_doubles(fill.dictionary.values), values = to_doubles(given.values);
  for (std::size_t i = 0; i < fill_keys.size(); ++i) known[fill_keys[i]] = fill_values[i];
  for (std::size_t i = 0; i < keys.size(); ++i) {
    bool missing = values[i] != values[i] || (fill.missing_number && values[i] == *fill.missing_number);
    if (auto found = known.find(keys[i]); missing && found != known.end()) values[i] = found->second;
  }
  return {{output.name,
           Dictionary{given.keys, from_doubles(values, DType::f64, {static_cast<Dim>(values.size())})}}};
}

// ---- recommender

class Recommender {
 public:
  Recommender(const Recommend& r, const Call& call) : r_(r), call_(call), places_(r.items) {}

  Features run() {
    std::size_t n = r_.adjustment.size();
    std::vector<double> score(n, 0);
    std::set<std::size_t> given;
    for (auto [item, rating] : ratings()) {
      given.insert(item);
      for (std::int64_t e = r_.first[item]; e < r_.first[item + 1]; ++e) {
        auto other = static_cast<std::size_t>(r_.similar[static_cast<std::size_t>(e)]);
        score[other] += r_.score[static_cast<std::size_t>(e)] * (rating - r_.adjustment[other]);
      }
    }
    const FeatureValue* excluded = optional(r_.exclusion);
    std::set<std::size_t> without = excluded ? items_of(*excluded) : given;
    const FeatureValue* restricted = optional(r_.restriction);
    std::set<std::size_t> only = restricted ? items_of(*restricted) : std::set<std::size_t>{};
    std::vector<std::size_t> order;
    for (std::size_t i = 0; i < n; ++i)
      if (!without.contains(i) && (!restricted || only.contains(i))) order.push_back(i);
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return score[a] > score[b]; });
    order.resize(std::min(order.size(), wanted()));
    return results(order, score);
  }

 private:
  const FeatureValue* optional(const std::string& name) const {
    return name.empty() ? nullptr : find(call_.inputs, name);
  }

  std::size_t wanted() const {
    const FeatureValue* value = optional(r_.count);
    if (!value) return 10;
    std::int64_t n = -1;
    if (const auto* whole = std::get_if<std::int64_t>(value)) n = *whole;
    else if (const auto* real = std::get_if<double>(value))
      n = static_cast<std::int64_t>(std::clamp(*real, -1.0, 1e15));
    else if (const auto* t = std::get_if<Tensor>(value); t && t->size() == 1) n = to_integers(*t).front();
    if (n < 0) fail(text("input '{}' takes a number of items", r_.count));
    return static_cast<std::size_t>(n);
  }

  std::set<std::size_t> items_of(const FeatureValue& value) {
    std::set<std::size_t> out;
    Feature list;
    list.kind = FeatureKind::sequence;
    const auto* dictionary = std::get_if<Dictionary>(&value);
    for (const std::string& key : dictionary ? words_in(dictionary->keys) : categories_in(list, value))
      if (std::optional<std::size_t> at = places_.find(key)) out.insert(*at);
    return out;
  }

  // Items that are given without a rating have 1; those that are not known say nothing.
  std::vector<std::pair<std::size_t, double>> ratings() {
    const FeatureValue* value = find(call_.inputs, r_.given);
    if (!value) fail(text("input '{}' is missing", r_.given));
    std::vector<std::pair<std::size_t, double>> out;
    if (const auto* dictionary = std::get_if<Dictionary>(value)) {
      std::vector<std::string> keys = words_in(dictionary->keys);
      std::vector<double> scores = to_doubles(dictionary->values);
      for (std::size_t i = 0; i < keys.size(); ++i)
        if (std::optional<std::size_t> at = places_.find(keys[i])) out.emplace_back(*at, scores[i]);
    } else {
      for (std::size_t item : items_of(*value)) out.emplace_back(item, 1);
    }
    return out;
  }

  Features results(std::span<const std::size_t> order, const std::vector<double>& score) const {
    std::vector<std::string> words;
    std::vector<std::int64_t> numbers;
    std::vector<double> scores;
    bool named = r_.items.dtype() == DType::string;
    for (std::size_t i : order) {
      if (named) words.push_back(r_.items.as<std::string>()[i]);
      else numbers.push_back(r_.items.as<std::int64_t>()[i]);
      scores.push_back(score[i]);
    }
    auto n = static_cast<Dim>(order.size());
    Tensor list = named ? from_strings(std::move(words), {n}) : from_integers(numbers, DType::i64, {n});
    Features out;
    for (const Feature& f : call_.function.interface.outputs) {
      if (f.name == r_.list) out.emplace_back(f.name, list);
      if (f.name == r_.scores)
        out.emplace_back(f.name, Dictionary{list, from_doubles(scores, DType::f64, {n})});
    }
    return out;
  }

  const Recommend& r_;
  const Call& call_;
  Places places_;
};

Features run(const Recommend& recommend, const Call& call) { return Recommender(recommend, call).run(); }

}  // namespace

Features convert(const Function& function, const Features& inputs) {
  Call call{function, inputs};
  return std::visit([&](const auto& kind) { return run(kind, call); }, *function.conversion);
}

std::vector<std::int64_t> whole_keys(const Dictionary& dictionary) {
  if (dictionary.keys.dtype() != DType::string) return to_integers(dictionary.keys);
  std::vector<std::int64_t> out;
  for (const std::string& word : dictionary.keys.as<std::string>()) out.push_back(whole_number(word));
  return out;
}

}  // namespace tl
