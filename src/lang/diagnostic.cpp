// SPDX-License-Identifier: Apache-2.0
// How errors of a script are written: place and reason on one line, then the line of the script with a caret.
#include "lang/diagnostic.h"

#include <algorithm>

#include "base/text.h"

namespace tl::lang {

void Diagnostics::error(Place place, std::string message) {
  constexpr std::size_t most = 100;  // a binary file called x.tl must not print for minutes
  if (found_.size() >= most) return;
  for (const Diagnostic& d : found_)
    if (d.place.begin == place.begin && d.place.source == place.source) return;  // one cause, one message
  found_.push_back({place, std::move(message)});
}

std::string Diagnostics::report() const {
  std::vector<Diagnostic> sorted = found_;
  std::stable_sort(sorted.begin(), sorted.end(), [](const Diagnostic& a, const Diagnostic& b) {
    return a.place.source == b.place.source && a.place.begin < b.place.begin;
  });
  std::string result;
  for (const Diagnostic& d : sorted) {
    if (!result.empty()) result += '\n';
    result += spell(d.place) + ": " + d.message + "\n" + show_line(d.place);
  }
  if (sorted.size() > 1) result += text("\n{} errors", sorted.size());
  return result;
}

std::string ScriptError::report() const {
  std::string result = spell(place) + ": " + what() + "\n" + show_line(place);
  constexpr std::size_t ends = 8;  // a deep recursion shows its two ends
  for (std::size_t i = 0; i < chain.size(); ++i) {
    if (chain.size() > 2 * ends + 1 && i == ends) {
      result += text("\n  … {} more calls", chain.size() - 2 * ends);
      i = chain.size() - ends;
    }
    result += text("\n  in {}, called at {}", chain[i].function, spell(chain[i].place));
  }
  return result;
}

}  // namespace tl::lang
