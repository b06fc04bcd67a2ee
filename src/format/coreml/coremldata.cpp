// SPDX-License-Identifier: Apache-2.0
// The layout differs between compilers; what they share is a counted string, the target, near the beginning.
#include "format/coreml/coremldata.h"

#include <algorithm>

#include "base/text.h"

namespace tl::coreml {
namespace {

constexpr std::size_t window = 256, version_block = 32;

// The place of the target's length; the file's size if there is none.
std::size_t find_target(Bytes bytes) {
  std::size_t last = std::min(bytes.size(), window);
  for (std::size_t at = 4; at + 12 <= last; ++at) {
    Reader in(bytes.subspan(at));
    std::uint64_t length = in.u64();
    if (length < 4 || length > in.left()) continue;
    std::string_view target = as_text(in.take(length));
    if (target.substr(0, 4) == "spec" || target.substr(0, 7) == "generic") return at;
  }
  return bytes.size();
}

bool is_version_block(Bytes block) {
  if (block.size() < version_block || Reader(block).u32() > 32) return false;
  return std::all_of(block.begin() + 4, block.begin() + version_block,
                     [](std::byte b) { return b == std::byte{0}; });
}

}  // namespace

CompiledData read_coremldata(Bytes bytes) {
  CompiledData out;
  Reader in(bytes);
  out.type = in.u32();
  out.version = in.u32();  // where older compilers have it
  std::size_t at = find_target(bytes);
  if (at == bytes.size()) throw Error(Code::bad_input, "is not the description of a compiled model");
  in.seek(at);
  std::string_view target = in.counted_text();
  if (is_version_block(in.peek(version_block))) {
    out.version = in.u32();
    in.skip(version_block - 4);
  }
  if (target.substr(0, 4) == "spec") out.model = as_text(in.take(in.left()));
  else {
    out.description = in.counted_text();
    out.trailer = as_text(in.take(in.left()));
  }
  return out;
}

std::vector<std::string> read_model_names(Bytes bytes) {
  Reader in(bytes);
  std::uint64_t count = in.u64();
  if (count > in.left() / 8)
    throw Error(Code::bad_input, text("names {} models, more than it has room for", count));
  std::vector<std::string> out;
  for (std::uint64_t i = 0; i < count; ++i) out.emplace_back(in.counted_text());
  return out;
}

}  // namespace tl::coreml
