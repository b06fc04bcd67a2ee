// SPDX-License-Identifier: Apache-2.0
// What scripts reach of the world: operations as plans, models, files. Implements the language's Host.
#pragma once
#include <list>

#include "lang/host.h"
#include "model/model.h"

namespace tl {

class ScriptHost : public lang::Host {
 public:
  // The runtime must outlive the host; `print` and `warn` take what goes to the two streams.
  using Write = std::function<void(std::string_view)>;
  ScriptHost(const Runtime& runtime, Write print, Write warn);

  std::vector<Tensor> evaluate(const OpDef&, std::span<const Tensor> inputs, const Attrs&) override;
  std::shared_ptr<lang::HostModel> load_model(const std::string& path, const std::string& device) override;
  Tensor load_image(const std::string& path) override;
  lang::Value load_data(const std::string& path) override;
  void save(const lang::Value&, const std::string& path) override;
  std::string read_text(const std::string& path) override;
  void print(std::string_view text) override { print_(text); }
  void warn(std::string_view line) override { warn_(line); }
  bool interrupted() override { return stop_ && stop_(); }
  std::vector<std::string> devices() override { return {"cpu"}; }

  void set_stop(std::function<bool()> stop) { stop_ = std::move(stop); }

 private:
  struct Planned {
    std::string key = {};
    std::shared_ptr<const plan::Plan> plan = {};
  };
  const plan::Plan& plan_for(const OpDef&, std::span<const Tensor> inputs, const Attrs&);

  const Runtime& runtime_;
  Write print_, warn_;
  std::function<bool()> stop_ = {};
  std::list<Planned> plans_ = {};  // most recently used first
  std::uint64_t runs_ = 0;
};

}  // namespace tl
