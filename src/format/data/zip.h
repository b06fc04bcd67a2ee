// SPDX-License-Identifier: Apache-2.0
// Zip archives as .npz files are: members by name, stored or deflated, zip64. Over minizip.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "base/reader.h"

namespace tl::data {

struct Member {
  std::string name = {};
  std::vector<std::byte> content = {};
};

// Every member, in the archive's order. Throws Error naming the member that is damaged.
std::vector<Member> read_zip(const std::string& path);

// Writes members one by one through `add(name, content)`, stored without compression; the file appears when
// all is written.
void write_zip(
    const std::string& path,
    const std::function<void(const std::function<void(const std::string& name, Bytes content)>& add)>& write);

}  // namespace tl::data
