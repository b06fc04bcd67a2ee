// SPDX-License-Identifier: Apache-2.0
// Models of words, categories and dictionaries: what they know is read, model/convert.cpp does the rest.
#include <algorithm>
#include <set>

#include "base/error.h"
#include "base/text.h"
#include "format/coreml/classic/classic.h"
#include "format/coreml/classic/sketch.h"

namespace tl::coreml {
namespace {

// Words of one field or whole numbers of the next.
Tensor read_known(const Message& message, std::uint32_t words) {
  if (message.has(words)) return words_of(message.message(words).texts(1));
  std::vector<std::int64_t> numbers = message.message(words + 1).integers(1);
  return from_integers(numbers, DType::i64, {static_cast<Dim>(numbers.size())});
}

template <class T> void check_distinct(std::span<const T> all) {
  std::set<T> seen;
  for (const T& key : all)
    if (!seen.insert(key).second) throw Error(Code::bad_input, text("the category {} is listed twice", key));
}

Tensor distinct(Tensor known, std::string_view what) {
  if (known.size() == 0) throw Error(Code::bad_input, text("has no {}", what));
  if (known.dtype() == DType::string) check_distinct(known.as<std::string>());
  else check_distinct(known.as<std::int64_t>());
  return known;
}

// ---- recommender

class Similarities {
 public:
  explicit Similarities(const Message& message) {
    std::vector<Message> items = message.messages(1);
    count = static_cast<std::int64_t>(items.size());
    auto limit = static_cast<std::int64_t>(message.bytes().size());
    for (const Message& item : items) highest(item, limit);
    into.items = labels(message);
    into.adjustment.resize(static_cast<std::size_t>(count), 0);
    std::vector<const Message*> by_id(static_cast<std::size_t>(count), nullptr);
    for (const Message& item : items) {
      auto id = static_cast<std::size_t>(checked(item.integer(1)));
      if (by_id[id]) throw Error(Code::bad_input, text("the item {} is described twice", id));
      by_id[id] = &item;
    }
    into.first.push_back(0);
    for (std::size_t id = 0; id < by_id.size(); ++id) add(id, by_id[id]);
  }

  Recommend into = {};

 private:
  // Items that nothing names are not worth room: a number is below the bytes that speak of items.
  void highest(const Message& item, std::int64_t limit) {
    auto raise = [&](std::int64_t id) {
      if (id < 0 || id >= limit) throw Error(Code::bad_input, text("there is no item {}", id));
      count = std::max(count, id + 1);
    };
    raise(item.integer(1));
    for (const Message& other : item.messages(2)) raise(other.integer(1));
  }

  std::int64_t checked(std::int64_t id) const {
    if (id < 0 || id >= count) throw Error(Code::bad_input, text("there is no item {} of {}", id, count));
    return id;
  }

  Tensor labels(const Message& message) {
    Tensor known = read_known(message, 2);
    if (known.size() == 0) {
      std::vector<std::int64_t> ids(static_cast<std::size_t>(count));
      for (std::size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<std::int64_t>(i);
      return from_integers(ids, DType::i64, {count});
    }
    if (known.size() < count)
      throw Error(Code::bad_input, text("names {} items, and speaks of {}", known.size(), count));
    count = known.size();
    return distinct(known, "items");
  }

  void add(std::size_t, const Message* item) {
    if (item) {
      into.adjustment[static_cast<std::size_t>(item->integer(1))] = item->number(3);
      for (const Message& other : item->messages(2)) {
        into.similar.push_back(checked(other.integer(1)));
        into.score.push_back(other.number(2));
      }
    }
    into.first.push_back(static_cast<std::int64_t>(into.similar.size()));
  }

  std::int64_t count = 0;
};

void check_named(std::string_view name, const std::vector<Feature>& among, std::string_view what) {
  if (!name.empty() &&
      std::none_of(among.begin(), among.end(), [&](const Feature& f) { return f.name == name; }))
    throw Error(Code::bad_input, text("there is no {} '{}' in its description", what, printable(name)));
}

}  // namespace

void lower_one_hot(const Message& message, Function& function) {
  function.conversion =
      EncodeCategory{distinct(read_known(message, 1), "categories"), message.integer(11) == 1};
}

void lower_dictionary(const Message& message, Function& function) {
  function.conversion = IndexDictionary{distinct(read_known(message, 1), "keys")};
}

void lower_category_map(const Message& message, Function& function) {
  bool to_numbers = message.has(1);
  std::vector<std::string_view> words;
  std::vector<std::int64_t> numbers;
  for (const Message& entry : message.message(to_numbers ? 1 : 2).messages(1)) {
    words.push_back(entry.text(to_numbers ? 1 : 2));
    numbers.push_back(entry.integer(to_numbers ? 2 : 1));
  }
  MapCategories map{words_of(words), from_integers(numbers, DType::i64, {static_cast<Dim>(numbers.size())})};
  if (!to_numbers) std::swap(map.keys, map.values);
  if (message.has(101)) map.otherwise = words_of({message.text(101)});
  if (message.has(102)) {
    std::int64_t other = message.integer(102);
    map.otherwise = from_integers({&other, 1}, DType::i64, {1});
  }
  if (map.otherwise && map.otherwise->dtype() != map.values.dtype())
    throw Error(Code::bad_input, "the value for unknown categories is of another type than the others");
  function.conversion = std::move(map);
}

void lower_recommender(const Message& message, Function& function) {
  Recommend out = Similarities(message).into;
  const Interface& i = function.interface;
  out.given = message.text(10), out.count = message.text(11);
  out.restriction = message.text(12), out.exclusion = message.text(13);
  out.list = message.text(20), out.scores = message.text(21);
  must(!out.given.empty(), "does not say which input holds the items");
  for (const std::string& name : {out.given, out.count, out.restriction, out.exclusion})
    check_named(name, i.inputs, "input");
  for (const std::string& name : {out.list, out.scores}) check_named(name, i.outputs, "output");
  function.conversion = std::move(out);
}

}  // namespace tl::coreml
