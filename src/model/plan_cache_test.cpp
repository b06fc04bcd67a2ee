// SPDX-License-Identifier: Apache-2.0
// The plan cache as a whole: a model loaded again packs nothing, and gives the same, until anything of it
// differs.
#include "model/plan_cache.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/file.h"
#include "format/coreml/package_write.h"
#include "model/model.h"
#include "op/kernel_test.h"
#include "op/ops.h"
#include "plan/plan.h"

namespace tl {
namespace {

namespace fs = std::filesystem;

class Folder {
 public:
  Folder() { REQUIRE(mkdtemp(path_.data())); }
  Folder(const Folder&) = delete;
  ~Folder() { fs::remove_all(path_); }
  std::string cache() const { return path_ + "/cache"; }
  std::string model() const { return path_ + "/model.mlpackage"; }
  std::vector<std::string> files() const {
    return is_folder(cache()) ? list_folder(cache()) : std::vector<std::string>{};
  }
  std::string file() const {
    REQUIRE(files().size() == 1);
    return join_path(cache(), files()[0]);
  }

 private:
  std::string path_ = "/tmp/tl_plans_XXXXXX";
};

// Times in the past: files that were changed just now are not cached.
void settle(const std::string& package) {
  struct timespec times[2] = {{1600000000, 5}, {1600000000, 5}};
  for (const auto& entry : fs::recursive_directory_iterator(package))
    REQUIRE(utimensat(AT_FDCWD, entry.path().c_str(), times, 0) == 0);
}

void write_model(const std::string& path, unsigned seed, Dim wide = 1024) {
  Function f;
  Graph g;
  Feature feature;
  feature.name = "x", feature.dtype = DType::f16, feature.shape = {4, 256};
  f.interface.inputs.push_back(feature);
  ValueId x = g.add_input(Type(DType::f16, {4, 256}), "x");
  auto add = [&](ValueId in, Shape shape) {
    ValueId w = g.add_constant(random_tensor(DType::f16, std::move(shape), ++seed, -0.1, 0.1));
    return g.add_node(g.body, ops::linear, {in, w, no_value}, {}).outputs[0];
  };
  g.add_output(add(add(x, {wide, 256}), {512, wide}), "y");
  feature.name = "y", feature.shape = {4, 512};
  f.interface.outputs.push_back(feature);
  f.graph = std::move(g);
  ModelFile file;
  file.type = "mlProgram";
  file.functions.push_back(std::move(f));
  write_package(file, path);
  settle(path);
}

struct Run {
  std::vector<double> y = {};
  bool operator==(const Run&) const = default;
};

Run run(const Folder& folder, std::optional<std::string> cache, Settings settings = {}) {
  if (cache) settings.cache = CachePlace{*cache};
  settings.threads = 2;
  Runtime runtime(settings);
  std::shared_ptr<Model> model = Model::load(folder.model(), runtime);
  Features out = model->predict({{"x", random_tensor(DType::f16, {4, 256}, 3)}});
  return {to_doubles(std::get<Tensor>(out[0].second))};
}

auto identity_of(const std::string& path) {
  struct stat facts {};
  REQUIRE(stat(path.c_str(), &facts) == 0);
  return std::pair(facts.st_ino, facts.st_size);
}

// Counts what is packed.
int fills_of(const Folder& folder, const Graph& graph, bool save) {
  Settings settings;
  settings.cache = CachePlace{folder.cache()};
  Runtime runtime(settings);
  PlanCache cache(*source_of(folder.model()), runtime);
  cache.know(graph);
  PackedStore store(&cache);
  int fills = 0;
  std::vector<StoragePtr> held;
  auto pack = [&](const Tensor& t, const char* form, std::size_t bytes) {
    held.push_back(store.get(t, form, bytes, [&](std::byte* to) {
      ++fills;
      std::memset(to, form[0], bytes);
    }));
    CHECK(held.back()->size() == bytes);
    CHECK(*held.back()->data() == std::byte(form[0]));
  };
  Tensor own = graph.value(graph.body.inputs.empty() ? ValueId(0) : ValueId(1)).constant;
  Tensor folded = random_tensor(DType::f32, {64, 64}, 5);  // the same each time, elsewhere in memory
  pack(own, "a", 1 << 20), pack(own, "b", 8192), pack(own, "a", 1 << 20);
  pack(folded, "a", 8192), pack(random_tensor(DType::f32, {64, 64}, 6), "a", 8192);
  pack(own, "small", 64);
  if (save) cache.save();
  return fills;
}

}  // namespace

TEST_CASE("a model loaded again packs nothing and gives the same") {
  Folder folder;
  write_model(folder.model(), 1);
  Run plain = run(folder, {});
  CHECK(folder.files().empty());
  CHECK(run(folder, folder.cache()) == plain);
  auto written = identity_of(folder.file());
  CHECK(written.second > (3 << 18));
  CHECK(run(folder, folder.cache()) == plain);
  CHECK(identity_of(folder.file()) == written);
  Settings other;
  other.precision = "fp32";  // has a file of its own
  CHECK(run(folder, folder.cache(), other) == run(folder, {}, other));
  CHECK(folder.files().size() == 2);
}

TEST_CASE("what is packed is known by its place, or by content, and by form") {
  Folder folder;
  write_model(folder.model(), 1);
  Graph graph;
  graph.add_input(Type(DType::f16, {4}), "x");
  graph.add_constant(random_tensor(DType::f16, {8}, 1));
  CHECK(fills_of(folder, graph, false) == 5);
  CHECK(fills_of(folder, graph, true) == 5);
  CHECK(fills_of(folder, graph, true) == 1);  // the small one
}

TEST_CASE("a model that has changed is packed anew") {
  Folder folder;
  write_model(folder.model(), 1);
  Run first = run(folder, folder.cache());
  auto written = identity_of(folder.file());
  write_model(folder.model(), 7);
  Run second = run(folder, folder.cache());
  CHECK(second != first);
  CHECK(second == run(folder, {}));
  CHECK(identity_of(folder.file()) != written);
  CHECK(run(folder, folder.cache()) == second);
}

TEST_CASE("a model that is being changed is not cached") {
  Folder folder;
  write_model(folder.model(), 1);
  fs::last_write_time(folder.model() + "/Manifest.json", fs::file_time_type::clock::now());
  run(folder, folder.cache());
  CHECK(folder.files().empty());
}

TEST_CASE("small models and a small limit leave nothing behind") {
  Folder folder;
  write_model(folder.model(), 1, 64);
  run(folder, folder.cache());
  CHECK(folder.files().empty());
  write_model(folder.model(), 1);
  Settings tight;
  tight.cache = CachePlace{folder.cache(), 1000};
  run(folder, {}, tight);
  CHECK(folder.files().empty());
}

TEST_CASE("a damaged file of the cache is ignored and written anew") {
  Folder folder;
  write_model(folder.model(), 1);
  Run plain = run(folder, {});
  run(folder, folder.cache());
  std::string path = folder.file();
  std::uintmax_t size = fs::file_size(path);
  for (std::uintmax_t cut : {size - 1, size / 2, std::uintmax_t{100}, std::uintmax_t{1}, std::uintmax_t{0}}) {
    fs::resize_file(path, cut);
    CHECK(run(folder, folder.cache()) == plain);
    CHECK(fs::file_size(path) == size);
  }
  for (std::streamoff at : {0, 9, 20, 30, 40, 60, 200, 400}) {
    auto damaged = identity_of(path);
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(at);
    char c = static_cast<char>(file.get() ^ 0x55);
    file.seekp(at);
    file.put(c);
    file.close();
    CHECK(run(folder, folder.cache()) == plain);
    CHECK(identity_of(path) != damaged);
  }
}

TEST_CASE("a cache that cannot be written does no harm") {
  Folder folder;
  write_model(folder.model(), 1);
  Run plain = run(folder, {});
  CHECK(run(folder, "/proc/none") == plain);
  fs::create_directory(folder.cache());
  fs::permissions(folder.cache(), fs::perms::all);
  CHECK(run(folder, folder.cache()) == plain);
  CHECK(folder.files().empty());
}

}  // namespace tl
