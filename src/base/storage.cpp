// SPDX-License-Identifier: Apache-2.0
// The kinds of Storage: allocated, mapped, strings.
#include "base/storage.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "base/error.h"
#include "base/text.h"

namespace tl {
namespace {

constexpr std::size_t line = 64;  // bytes of a cache line, and of the widest vector

class Allocated final : public Storage {
 public:
  explicit Allocated(std::size_t size) {
    if (size > SIZE_MAX - 2 * line) throw Error(Code::out_of_memory, "out of memory");
    data_ = size < own_pages ? static_cast<std::byte*>(std::aligned_alloc(line, (size / line + 1) * line))
                             : map(size);
    if (!data_) throw Error(Code::out_of_memory, text("out of memory: {} bytes were asked for", size));
    size_ = size;
  }
  ~Allocated() override {
    if (size_ < own_pages) std::free(data_);
    else munmap(data_, size_);
  }

 private:
  // From here on pages of their own: the allocator would keep what one weight after the other leaves behind.
  static constexpr std::size_t own_pages = std::size_t{4} << 20;
  static std::byte* map(std::size_t size) {
    void* at = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) return nullptr;
#ifdef MADV_HUGEPAGE
    madvise(at, size, MADV_HUGEPAGE);  // a hundredth of the page faults
#endif
    return static_cast<std::byte*>(at);
  }
};

class Mapped final : public Storage {
 public:
  explicit Mapped(const std::string& path) {
    int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (file < 0) fail(path, "cannot be opened");
    struct stat facts {};
    bool readable = fstat(file, &facts) == 0 && S_ISREG(facts.st_mode);
    size_ = readable ? static_cast<std::size_t>(facts.st_size) : 0;
    void* at = readable && size_ ? mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, file, 0) : nullptr;
    int why = errno;
    close(file);
    if (!readable) throw Error(Code::bad_input, text("{}: is not a file", path));
    if (at == MAP_FAILED) errno = why, fail(path, "cannot be mapped");
    data_ = static_cast<std::byte*>(at);
    writable_ = false;
  }
  ~Mapped() override {
    if (size_) munmap(data_, size_);
  }
  void release(std::size_t offset, std::size_t size) const override {
    static const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    std::size_t first = (offset + page - 1) / page * page, last = (offset + size) / page * page;
    if (last > first && last <= size_) madvise(data_ + first, last - first, MADV_DONTNEED);
  }

 private:
  [[noreturn]] static void fail(const std::string& path, const char* what) {
    throw Error(Code::bad_input, text("{}: {}: {}", path, what, std::strerror(errno)));
  }
};

class Strings final : public Storage {
 public:
  explicit Strings(std::vector<std::string> strings) : strings_(std::move(strings)) {
    data_ = reinterpret_cast<std::byte*>(strings_.data());
    size_ = strings_.size() * sizeof(std::string);
  }

 private:
  std::vector<std::string> strings_;
};

}  // namespace

StoragePtr allocate(std::size_t size) { return std::make_shared<Allocated>(size); }
StoragePtr map_file(const std::string& path) { return std::make_shared<Mapped>(path); }
StoragePtr keep_strings(std::vector<std::string> strings) {
  return std::make_shared<Strings>(std::move(strings));
}

}  // namespace tl
