// SPDX-License-Identifier: Apache-2.0
// Files are opened relative to the open folder and judged by what was opened: nobody can swap one in between.
// They are only replaced and removed, never shortened, so that what others have mapped stays.
#include "model/cache_folder.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <ctime>
#include <memory>
#include <utility>

#include "base/byte_size.h"
#include "base/error.h"
#include "base/file.h"
#include "base/text.h"

namespace tl {
namespace {

constexpr std::string_view suffix = ".plan", part_suffix = ".part";
constexpr std::time_t abandoned = 3600;  // seconds after which a file that is still being written is nobody's

class Descriptor {
 public:
  explicit Descriptor(int fd = -1) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&&) = delete;
  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }

 private:
  int fd_;
};

class MappedPart final : public Storage {
 public:
  MappedPart(void* at, std::size_t size) {
    data_ = static_cast<std::byte*>(at), size_ = size;
    writable_ = false;
  }
  ~MappedPart() override { munmap(data_, size_); }
};

bool is_own(const struct stat& facts) {
  return facts.st_uid == geteuid() && (facts.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

bool make_folders(const std::string& path) {
  if (is_folder(path)) return true;
  std::string parent = parent_path(path);
  if (parent != path && !make_folders(parent)) return false;
  return mkdir(path.c_str(), 0700) == 0 || errno == EEXIST;
}

Descriptor open_folder(const std::string& path) {
  Descriptor folder(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  struct stat facts {};
  bool safe = folder && fstat(folder.get(), &facts) == 0 && is_own(facts);
  return safe ? std::move(folder) : Descriptor();
}

struct Seen {
  std::string name = {};
  std::uint64_t bytes = 0;
  std::time_t used = 0;
};

std::vector<Seen> files_of(const Descriptor& folder) {
  std::vector<Seen> files;
  int again = openat(folder.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR* listing = again >= 0 ? fdopendir(again) : nullptr;
  if (!listing) {
    if (again >= 0) close(again);
    return files;
  }
  while (const dirent* entry = readdir(listing)) {
    std::string name = entry->d_name;
    struct stat facts {};
    bool ours = name.ends_with(suffix) || name.ends_with(part_suffix);
    if (!ours || fstatat(folder.get(), name.c_str(), &facts, AT_SYMLINK_NOFOLLOW) != 0) continue;
    if (S_ISREG(facts.st_mode))
      files.push_back({std::move(name), static_cast<std::uint64_t>(facts.st_size), facts.st_mtime});
  }
  closedir(listing);
  return files;
}

// Leaves room for as many bytes under this name.
void make_room(const Descriptor& folder, const std::string& name, std::uint64_t bytes, std::uint64_t limit) {
  std::vector<Seen> files = files_of(folder);
  std::sort(files.begin(), files.end(), [](const Seen& a, const Seen& b) { return a.used < b.used; });
  std::uint64_t all = bytes;
  for (const Seen& file : files)
    if (file.name != name) all += file.bytes;
  for (const Seen& file : files) {
    bool left = file.name.ends_with(part_suffix);
    bool remove = left ? file.used + abandoned < std::time(nullptr) : all > limit && file.name != name;
    if (remove && unlinkat(folder.get(), file.name.c_str(), 0) == 0) all -= file.bytes;
  }
}

bool write_all(int file, Bytes content) {
  while (!content.empty()) {
    ssize_t n = write(file, content.data(), content.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    content = content.subspan(static_cast<std::size_t>(n));
  }
  return true;
}

bool write_new(const Descriptor& folder, const std::string& name, const std::vector<Bytes>& content) {
  Descriptor file(
      openat(folder.get(), name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  return file && std::all_of(content.begin(), content.end(),
                             [&](Bytes piece) { return write_all(file.get(), piece); });
}

const char* setting(const char* name) {
  const char* value = std::getenv(name);
  return value && *value ? value : nullptr;
}

std::string cache_path() {
  if (const char* own = setting("TL_CACHE")) return own;
  const char* general = setting("XDG_CACHE_HOME");
  if (general && *general == '/') return join_path(general, "tensorlogic");  // others are to be ignored
  const char* home = setting("HOME");
  return home ? join_path(home, ".cache/tensorlogic") : std::string();
}

}  // namespace

std::optional<CachePlace> cache_place() {
  CachePlace place{cache_path()};
  if (const char* limit = setting("TL_CACHE_LIMIT")) {
    std::optional<std::uint64_t> bytes = byte_size(limit);
    if (!bytes)
      throw Error(Code::bad_use,
                  text("TL_CACHE_LIMIT is '{}', no size such as 512M or 4G", printable(limit)));
    place.limit = *bytes;
  }
  return place.folder.empty() ? std::nullopt : std::optional(place);
}

StoragePtr read_cached(const CachePlace& place, const std::string& name) {
  Descriptor folder = open_folder(place.folder);
  if (!folder) return nullptr;
  Descriptor file(openat(folder.get(), name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  struct stat facts {};
  if (!file || fstat(file.get(), &facts) != 0 || !S_ISREG(facts.st_mode) || !is_own(facts)) return nullptr;
  if (facts.st_size <= 0) return nullptr;
  auto size = static_cast<std::size_t>(facts.st_size);
  void* at = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.get(), 0);
  if (at == MAP_FAILED) return nullptr;
  auto content = std::make_shared<MappedPart>(at, size);
  struct timespec now[2] = {{0, UTIME_NOW}, {0, UTIME_NOW}};
  futimens(file.get(), now);  // what is used last is removed last
  return content;
}

bool write_cached(const CachePlace& place, const std::string& name, const std::vector<Bytes>& content) {
  std::uint64_t bytes = 0;
  for (Bytes piece : content) bytes += piece.size();
  if (bytes > place.limit || !make_folders(place.folder)) return false;
  Descriptor folder = open_folder(place.folder);
  if (!folder) return false;
  make_room(folder, name, bytes, place.limit);
  static std::atomic<int> writers{0};
  std::string part = text("{}.{}.{}{}", name, getpid(), ++writers, part_suffix);
  bool written = write_new(folder, part, content) &&
                 renameat(folder.get(), part.c_str(), folder.get(), name.c_str()) == 0;
  if (!written) unlinkat(folder.get(), part.c_str(), 0);
  return written;
}

}  // namespace tl
