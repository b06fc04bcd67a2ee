// SPDX-License-Identifier: Apache-2.0
// The report as one page that needs nothing else: the data as JSON, and the script that draws it.
#include "base/text.h"
#include "explain/report.h"

namespace tl::explain {
namespace {

constexpr std::string_view before = {
#include "explain/page_head.inc"
};
constexpr std::string_view after = {
#include "explain/page_script.inc"
};

// JSON inside a script element: no "</" may end it early.
std::string inside_script(const std::string& json) {
  std::string out;
  for (char c : json) out += c == '<' ? "\\u003c" : std::string(1, c);
  return out;
}

}  // namespace

std::string html_of(const Report& r) {
  return text("{}<script id=\"data\" type=\"application/json\">{}</script>\n{}", before,
              inside_script(json_of(r)), after);
}

}  // namespace tl::explain
