// SPDX-License-Identifier: Apache-2.0
// The one exception: what went wrong, in words a user can act on. Bugs of this program are TL_ASSERT.
#pragma once
#include <stdexcept>
#include <string>
#include <string_view>

namespace tl {

enum class Code { bad_input, bad_use, unsupported, out_of_memory, interrupted };

class Error : public std::runtime_error {
 public:
  Error(Code code, const std::string& reason) : std::runtime_error(reason), code_(code), text_(reason) {}
  Code code() const { return code_; }
  const char* what() const noexcept override { return text_.c_str(); }
  // Puts a context in front: "tensor 'w'" makes "tensor 'w': ends early, at byte 4".
  Error& note(std::string_view context) {
    text_.insert(0, ": ").insert(0, context);
    return *this;
  }

 private:
  Code code_;
  std::string text_;
};

// Runs body; an Error that leaves it gets the context that `context()` gives.
template <class Context, class Body> decltype(auto) with_note(const Context& context, const Body& body) {
  try {
    return body();
  } catch (Error& error) {
    error.note(context());
    throw;
  }
}

[[noreturn]] void assertion_failed(const char* what, const char* file, int line) noexcept;

}  // namespace tl

// A bug of ours, never of the input: on in every build, prints and aborts.
#define TL_ASSERT(x) ((x) ? void(0) : ::tl::assertion_failed(#x, __FILE__, __LINE__))
