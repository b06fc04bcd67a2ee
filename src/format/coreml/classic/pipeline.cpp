// SPDX-License-Identifier: Apache-2.0
// The wiring of pipelines, checked when they are read: features meet by name (coreml.md 7.1).
#include <algorithm>
#include <map>
#include <set>

#include "base/error.h"
#include "base/text.h"
#include "format/coreml/classic/classic.h"

namespace tl::coreml {
namespace {

// What a value may stand for: arrays and numbers are one another's, the others only their own kind's.
FeatureKind broad(FeatureKind kind) {
  bool number = kind == FeatureKind::int64 || kind == FeatureKind::double_;
  return number ? FeatureKind::tensor : kind;
}

const Interface* interface_of(const ModelFile& file) {
  for (const Function& f : file.functions)
    if (f.name == file.default_function) return &f.interface;
  return file.functions.empty() ? nullptr : &file.functions.front().interface;
}

class Wiring {
 public:
  void add(const std::vector<Feature>& features) {
    for (const Feature& f : features) known_[f.name] = f.kind;
  }

  void need(const Feature& f) const {
    auto found = known_.find(f.name);
    if (found == known_.end()) {
      if (f.optional) return;
      throw Error(Code::bad_input,
                  text("no earlier part gives its input '{}'{}", printable(f.name), meant(f)));
    }
    if (!meets(found->second, f.kind))
      throw Error(Code::bad_input, text("its input '{}' takes {}, what comes is {}", printable(f.name),
                                        name_of(f.kind), name_of(found->second)));
  }

  void need_output(const Feature& f) const {
    if (!known_.contains(f.name))
      throw Error(Code::bad_input, text("no part gives the output '{}'{}", printable(f.name), meant(f)));
  }

 private:
  // An image may also come as an array and a dictionary as a vector's place.
  static bool meets(FeatureKind given, FeatureKind taken) {
    if (broad(given) == broad(taken)) return true;
    auto pixels = [](FeatureKind k) { return k == FeatureKind::image || k == FeatureKind::tensor; };
    return pixels(given) && pixels(taken);
  }
  std::string meant(const Feature& f) const {
    std::vector<std::string_view> names;
    for (const auto& [name, kind] : known_) names.push_back(name);
    return did_you_mean(f.name, names);
  }

  std::map<std::string, FeatureKind> known_ = {};
};

}  // namespace

void check_wiring(const ModelFile& file) {
  const Interface* whole = interface_of(file);
  if (!whole) return;
  if (file.parts.empty()) throw Error(Code::bad_input, "a pipeline without parts");
  Wiring wiring;
  std::set<std::string> names;
  wiring.add(whole->inputs);
  for (const auto& [name, part] : file.parts)
    with_note([&name = name] { return text("part '{}'", printable(name)); },
              [&, &name = name, &part = part] {
                if (!names.insert(name).second) throw Error(Code::bad_input, "another part has that name");
                const Interface* i = interface_of(part);
                if (!i) return;
                for (const Feature& f : i->inputs) wiring.need(f);
                wiring.add(i->outputs);
              });
  for (const Feature& f : whole->outputs) wiring.need_output(f);
}

std::vector<std::string> linked_names(const Message& message) {
  Message link = message.message(1);
  std::string name(link.message(1).text(1)), folders(link.message(2).text(1));
  auto inside = [](std::string_view path) {
    if (path.empty() || path.front() == '/') return false;
    for (std::string_view part : split(path, '/'))
      if (part == "..") return false;
    return path.find('\0') == std::string_view::npos;
  };
  if (!inside(name))
    throw Error(Code::bad_input, text("links to '{}', which is not a name", printable(name)));
  std::vector<std::string> out;
  for (std::string_view folder : split(folders, ':')) {
    std::string path = folder.empty() ? name : text("{}/{}", folder, name);
    if (!inside(path)) continue;
    for (const char* ending : {"", ".mlmodelc", ".mlmodel", ".mlpackage"}) out.push_back(path + ending);
  }
  return out;
}

}  // namespace tl::coreml
