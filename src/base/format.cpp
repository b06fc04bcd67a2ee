// SPDX-License-Identifier: Apache-2.0
// The one function of {fmt} that text.h calls, compiled into the program: libfmt.so would bring the shared
// libstdc++ along, and a millisecond to every start.
#define FMT_HEADER_ONLY
#include <fmt/format.h>

namespace tl {

extern std::string (*const fill_in)(fmt::string_view, fmt::format_args);
std::string (*const fill_in)(fmt::string_view, fmt::format_args) = &fmt::vformat;  // taking it emits it

}  // namespace tl
