// SPDX-License-Identifier: Apache-2.0
// The code may be in the program itself or in a library that another program has loaded.
#include "model/program_identity.h"

#include <dlfcn.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstring>

#ifdef __linux__
#include <link.h>
#elif defined(__APPLE__)
#include <sys/sysctl.h>
#endif

#include "base/text.h"
#include "model/model_source.h"

namespace tl {
namespace {

std::string first_line(const char* path) {
  std::array<char, 256> line = {};
  if (std::FILE* file = std::fopen(path, "re")) {
    if (!std::fgets(line.data(), line.size(), file)) line[0] = 0;
    std::fclose(file);
  }
  return std::string(line.data(), std::strcspn(line.data(), "\n"));
}

std::string start_of_machine() {
#ifdef __APPLE__
  std::array<char, 64> id = {};
  std::size_t size = id.size() - 1;
  return sysctlbyname("kern.bootsessionuuid", id.data(), &size, nullptr, 0) == 0 ? id.data() : "";
#else
  return first_line("/proc/sys/kernel/random/boot_id");
#endif
}

#ifdef __linux__
struct Sought {
  std::uintptr_t address = 0;
  std::string path = {};
};

int look(dl_phdr_info* info, std::size_t, void* data) {
  Sought& sought = *static_cast<Sought*>(data);
  for (int i = 0; i < info->dlpi_phnum; ++i) {
    const auto& part = info->dlpi_phdr[i];
    std::uintptr_t begin = info->dlpi_addr + part.p_vaddr;
    if (part.p_type != PT_LOAD || sought.address < begin || sought.address - begin >= part.p_memsz) continue;
    sought.path = info->dlpi_name && *info->dlpi_name ? info->dlpi_name : "/proc/self/exe";
    return 1;
  }
  return 0;
}

std::string own_path() {
  Sought sought{reinterpret_cast<std::uintptr_t>(&look)};
  dl_iterate_phdr(look, &sought);
  return sought.path;
}
#else
std::string own_path() {
  Dl_info info{};
  return dladdr(reinterpret_cast<const void*>(&first_line), &info) && info.dli_fname ? info.dli_fname : "";
}
#endif

}  // namespace

std::string machine_name() {
  std::array<char, 256> name = {};
  if (gethostname(name.data(), name.size() - 1) != 0) name[0] = 0;
  return name.data();
}

std::string program_identity() {
  std::optional<ModelSource> program = source_of(own_path());
  std::string boot = start_of_machine();
  return program && !boot.empty() ? text("{}\n{}", boot, program->state) : std::string();
}

}  // namespace tl
