// SPDX-License-Identifier: Apache-2.0
// Zip archives over minizip.
#include "format/data/zip.h"

#include <minizip/unzip.h>
#include <minizip/zip.h>

#include <algorithm>
#include <memory>

#include "base/file.h"
#include "base/storage.h"
#include "base/text.h"

namespace tl::data {
namespace {

constexpr std::size_t chunk = std::size_t{1} << 20;
constexpr std::uint64_t most_members = 100'000;

struct CloseUnzip {
  void operator()(void* file) const { unzClose(file); }
};
using Unzip = std::unique_ptr<void, CloseUnzip>;

[[noreturn]] void damaged(std::string_view what) { throw Error(Code::bad_input, std::string(what)); }

// Reads in steps: a size that lies in the directory allocates no more than what is really there.
std::vector<std::byte> content_of(unzFile file, std::uint64_t declared) {
  std::vector<std::byte> content;
  while (true) {
    std::size_t at = content.size(), step = static_cast<std::size_t>(std::min<std::uint64_t>(
                                         declared - std::min<std::uint64_t>(declared, at), 16 * chunk));
    content.resize(at + std::max<std::size_t>(step, 1));
    int n = unzReadCurrentFile(file, content.data() + at, static_cast<unsigned>(content.size() - at));
    if (n < 0) damaged("is damaged inside the archive");
    content.resize(at + static_cast<std::size_t>(n));
    if (n == 0) break;
    if (content.size() > declared) damaged("is longer than the archive says");
  }
  if (content.size() != declared) damaged("ends early inside the archive");
  return content;
}

Member current_member(unzFile file) {
  unz_file_info64 info{};
  char name[1024] = {};
  if (unzGetCurrentFileInfo64(file, &info, name, sizeof name - 1, nullptr, 0, nullptr, 0) != UNZ_OK)
    damaged("has a damaged directory");
  return with_note([&] { return printable(name); },
                   [&] {
                     if (unzOpenCurrentFile(file) != UNZ_OK)
                       damaged("cannot be unpacked: only stored and deflated members are read");
                     Member member{name, content_of(file, info.uncompressed_size)};
                     if (unzCloseCurrentFile(file) != UNZ_OK) damaged("has a wrong checksum");
                     return member;
                   });
}

// What NumPy writes for no arrays, and minizip does not open: the end record alone.
bool is_empty_archive(const std::string& path) {
  StoragePtr file = map_file(path);
  return file->size() == 22 && as_text({file->data(), 4}) == "PK\x05\x06";
}

}  // namespace

std::vector<Member> read_zip(const std::string& path) {
  return with_note(
      [&] { return path; },
      [&] {
        if (!is_file(path)) damaged("there is no such file");
        if (is_empty_archive(path)) return std::vector<Member>();
        Unzip file(unzOpen64(path.c_str()));
        if (!file) damaged("is not a zip archive");
        unz_global_info64 global{};
        if (unzGetGlobalInfo64(file.get(), &global) != UNZ_OK || global.number_entry > most_members)
          damaged("has a damaged directory");
        std::vector<Member> members;
        for (int more = unzGoToFirstFile(file.get()); more == UNZ_OK && global.number_entry > 0;
             more = unzGoToNextFile(file.get()))
          members.push_back(current_member(file.get()));
        return members;
      });
}

void write_zip(const std::string& path,
               const std::function<void(const std::function<void(const std::string&, Bytes)>&)>& write) {
  write_through(path, [&](const std::string& temporary) {
    zipFile file = zipOpen64(temporary.c_str(), APPEND_STATUS_CREATE);
    if (!file) throw Error(Code::bad_input, text("{}: cannot be written", path));
    bool fine = true;
    auto add = [&](const std::string& name, Bytes content) {
      zip_fileinfo info{};
      info.tmz_date = {0, 0, 0, 1, 0, 1980};  // the same bytes for the same content
      fine = fine && zipOpenNewFileInZip64(file, name.c_str(), &info, nullptr, 0, nullptr, 0, nullptr, 0, 0,
                                           content.size() >= 0xffffffffu) == ZIP_OK;
      for (std::size_t at = 0; fine && at < content.size(); at += chunk)
        fine = zipWriteInFileInZip(file, content.data() + at,
                                   static_cast<unsigned>(std::min(chunk, content.size() - at))) == ZIP_OK;
      fine = fine && zipCloseFileInZip(file) == ZIP_OK;
    };
    write(add);
    fine = zipClose(file, nullptr) == ZIP_OK && fine;
    if (!fine) throw Error(Code::bad_input, text("{}: cannot be written", path));
  });
}

}  // namespace tl::data
