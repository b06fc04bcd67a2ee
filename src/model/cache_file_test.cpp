// SPDX-License-Identifier: Apache-2.0
// The plan cache's file and folder: what is written is read, what is damaged or not to be trusted is not.
#include "model/cache_file.h"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utime.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <set>
#include <thread>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "model/cache_folder.h"

namespace tl {
namespace {

namespace fs = std::filesystem;

std::vector<std::byte> file_of(std::string_view owner, const std::vector<std::string>& texts) {
  std::map<Fingerprint, Bytes> entries;
  for (const std::string& t : texts) entries[Digest().add(t).result()] = as_bytes(t);
  CacheLayout layout = lay_out_cache(owner, entries);
  std::vector<std::byte> all = layout.head;
  std::size_t gap = 0;
  for (const auto& [key, bytes] : entries) {
    all.insert(all.end(), bytes.begin(), bytes.end());
    all.resize(all.size() + layout.gaps[gap++]);
  }
  return all;
}

class Folder {  // gone after the test
 public:
  Folder() { REQUIRE(mkdtemp(path_.data())); }
  Folder(const Folder&) = delete;
  ~Folder() { fs::remove_all(path_); }
  CachePlace place(std::uint64_t limit = 1 << 20) const { return {path_ + "/a/cache", limit}; }
  std::string file(const std::string& name) const { return join_path(place().folder, name); }

 private:
  std::string path_ = "/tmp/tl_cache_XXXXXX";
};

bool put(const CachePlace& place, const std::string& name, const std::string& content) {
  return write_cached(place, name, {as_bytes(content)});
}

std::string got(const CachePlace& place, const std::string& name) {
  StoragePtr bytes = read_cached(place, name);
  return bytes ? std::string(as_text({bytes->data(), bytes->size()})) : "none";
}

void used_before(const std::string& path, int seconds) {
  struct utimbuf times = {time(nullptr) - seconds, time(nullptr) - seconds};
  REQUIRE(utime(path.c_str(), &times) == 0);
}

}  // namespace

TEST_CASE("a fingerprint tells contents and their cuts apart") {
  std::map<Fingerprint, std::string> seen;
  for (std::size_t n = 0; n < 200; ++n)
    for (char c : {'\0', 'a'}) seen[Digest().add(std::string(n, c)).result()] = std::string(n, c);
  CHECK(seen.size() == 399);  // nothing is nothing of either
  CHECK(Digest().add("ab").add("c").result() != Digest().add("a").add("bc").result());
  std::string long_text(1000, 'x');
  std::set<Fingerprint> changed;
  for (char& c : long_text) {
    c ^= 1;
    changed.insert(Digest().add(long_text).result());
    c ^= 1;
  }
  CHECK(changed.size() == 1000);
}

TEST_CASE("a cache file gives back what was written") {
  for (const std::string& owner : {std::string(), std::string("whose"), std::string(100, 'o')}) {
    std::vector<std::string> texts = {"one", std::string(64, 'b'), std::string(1000, 'c'), ""};
    std::vector<std::byte> file = file_of(owner, texts);
    std::optional<CacheContent> content = parse_cache(file);
    REQUIRE(content);
    CHECK(content->owner == owner);
    REQUIRE(content->entries.size() == texts.size());
    for (const std::string& t : texts) {
      CacheEntry entry = content->entries.at(Digest().add(t).result());
      CHECK(entry.offset % 64 == 0);
      CHECK(as_text(Bytes(file).subspan(entry.offset, entry.size)) == t);
    }
  }
  CHECK(parse_cache(file_of("nothing in it", {})));
}

TEST_CASE("a cache file that is cut or changed before its entries is none") {
  std::vector<std::byte> file = file_of("whose", {"one", std::string(100, 'b')});
  std::size_t head = 48 + 8 + 2 * 32;  // header, owner, index
  for (std::size_t n = 0; n < file.size(); ++n) CHECK_FALSE(parse_cache(Bytes(file).subspan(0, n)));
  for (std::size_t at = 0; at < head; ++at)
    for (int bit = 0; bit < 8; ++bit) {
      file[at] ^= std::byte(1 << bit);
      CHECK_FALSE(parse_cache(file));
      file[at] ^= std::byte(1 << bit);
    }
  CHECK(parse_cache(file));
  file.push_back({});
  CHECK_FALSE(parse_cache(file));
}

TEST_CASE("the cache's folder is made, for its owner alone, and gives back what was put") {
  Folder folder;
  CachePlace place = folder.place();
  CHECK(got(place, "x.plan") == "none");
  CHECK_FALSE(fs::exists(place.folder));
  REQUIRE(put(place, "x.plan", "first"));
  struct stat facts {};
  REQUIRE(stat(place.folder.c_str(), &facts) == 0);
  CHECK((facts.st_mode & 0777) == 0700);
  REQUIRE(stat(folder.file("x.plan").c_str(), &facts) == 0);
  CHECK((facts.st_mode & 0777) == 0600);
  StoragePtr before = read_cached(place, "x.plan");
  REQUIRE(put(place, "x.plan", "and second"));
  CHECK(got(place, "x.plan") == "and second");
  CHECK(as_text({before->data(), before->size()}) == "first");  // what is mapped stays
  CHECK(list_folder(place.folder).size() == 1);
}

TEST_CASE("a folder or file that others can write to is not used") {
  Folder folder;
  CachePlace place = folder.place();
  REQUIRE(put(place, "x.plan", "content"));
  for (mode_t mode : {0620, 0602, 0666}) {
    chmod(folder.file("x.plan").c_str(), mode);
    CHECK(got(place, "x.plan") == "none");
  }
  chmod(folder.file("x.plan").c_str(), 0644);
  CHECK(got(place, "x.plan") == "content");
  for (mode_t mode : {0770, 0707}) {
    chmod(place.folder.c_str(), mode);
    CHECK(got(place, "x.plan") == "none");
    CHECK_FALSE(put(place, "y.plan", "content"));
  }
  chmod(place.folder.c_str(), 0755);
  CHECK(got(place, "x.plan") == "content");
  fs::create_symlink(folder.file("x.plan"), folder.file("link.plan"));
  CHECK(got(place, "link.plan") == "none");
  fs::create_directory(folder.file("folder.plan"));
  CHECK(got(place, "folder.plan") == "none");
  CHECK_FALSE(put({"/proc/none/cache"}, "x.plan", "content"));
  if (geteuid() != 0) return;
  REQUIRE(chown(folder.file("x.plan").c_str(), 1, 1) == 0);
  CHECK(got(place, "x.plan") == "none");
  REQUIRE(chown(place.folder.c_str(), 1, 1) == 0);
  CHECK_FALSE(put(place, "x.plan", "content"));
}

TEST_CASE("the cache's folder holds no more than it may: what was not used for longest goes") {
  Folder folder;
  CachePlace place = folder.place(100);
  for (int i = 0; i < 3; ++i) {
    REQUIRE(put(place, text("{}.plan", i), std::string(30, 'x')));
    used_before(folder.file(text("{}.plan", i)), 100 - i);
  }
  CHECK(got(place, "0.plan") != "none");  // a use
  REQUIRE(put(place, "3.plan", std::string(30, 'x')));
  CHECK(list_folder(place.folder) == std::vector<std::string>{"0.plan", "2.plan", "3.plan"});
  REQUIRE(put(place, "3.plan", std::string(40, 'x')));  // its own old bytes do not count
  CHECK(list_folder(place.folder).size() == 3);
  CHECK_FALSE(put(place, "4.plan", std::string(101, 'x')));
  CHECK(list_folder(place.folder).size() == 3);
  used_before(folder.file("3.plan"), 0);
  write_file(folder.file("old.plan.1.1.part"), as_bytes("half"));
  write_file(folder.file("new.plan.1.1.part"), as_bytes("half"));
  write_file(folder.file("notes"), as_bytes("of someone"));
  used_before(folder.file("old.plan.1.1.part"), 100000);
  REQUIRE(put(place, "5.plan", std::string(90, 'x')));
  CHECK(list_folder(place.folder) == std::vector<std::string>{"5.plan", "new.plan.1.1.part", "notes"});
}

TEST_CASE("many writers at once leave one whole file") {
  Folder folder;
  CachePlace place = folder.place();
  std::vector<std::thread> writers;
  std::atomic<bool> whole{true};
  for (int i = 0; i < 8; ++i)
    writers.emplace_back([&, i] {
      for (int k = 0; k < 20; ++k) {
        put(place, "x.plan", std::string(10000, static_cast<char>('a' + i)));
        std::string read = got(place, "x.plan");
        if (read != std::string(10000, read[0])) whole = false;
      }
    });
  for (std::thread& t : writers) t.join();
  CHECK(whole);
  CHECK(list_folder(place.folder).size() == 1);
}

TEST_CASE("the environment says where the cache is") {
  auto place = [](const char* own, const char* general, const char* home, const char* limit) {
    const char* names[] = {"TL_CACHE", "XDG_CACHE_HOME", "HOME", "TL_CACHE_LIMIT"};
    const char* values[] = {own, general, home, limit};
    std::vector<std::optional<std::string>> before;
    for (int i = 0; i < 4; ++i) {
      const char* old = getenv(names[i]);
      before.push_back(old ? std::optional<std::string>(old) : std::nullopt);
      if (values[i]) setenv(names[i], values[i], 1);
      else unsetenv(names[i]);
    }
    std::string said;
    try {
      std::optional<CachePlace> p = cache_place();
      said = p ? text("{} {}", p->folder, p->limit) : "none";
    } catch (const Error& e) { said = e.what(); }
    for (int i = 0; i < 4; ++i) {
      if (before[i]) setenv(names[i], before[i]->c_str(), 1);
      else unsetenv(names[i]);
    }
    return said;
  };
  CHECK(place("/c", "/x", "/h", nullptr) == "/c 2147483648");
  CHECK(place("", "/x", "/h", "1K") == "/x/tensorlogic 1024");
  CHECK(place(nullptr, "x", "/h", "0") == "/h/.cache/tensorlogic 0");
  CHECK(place(nullptr, nullptr, nullptr, nullptr) == "none");
  CHECK(place("/c", nullptr, nullptr, "much") == "TL_CACHE_LIMIT is 'much', no size such as 512M or 4G");
}

}  // namespace tl
