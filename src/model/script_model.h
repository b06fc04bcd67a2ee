// SPDX-License-Identifier: Apache-2.0
// A model as scripts see it, and their values as features.
#pragma once
#include "lang/host.h"
#include "model/model.h"

namespace tl {

lang::Value value_of(const FeatureValue&);
FeatureValue feature_of(const lang::Value&);  // throws Error for what no model takes

class ScriptModel : public lang::HostModel {
 public:
  ScriptModel(std::shared_ptr<Model> model, std::function<void(std::string_view)> warn)
      : model_(std::move(model)), warn_(std::move(warn)) {}

  lang::Value metadata() override;
  std::vector<std::string> functions() override;
  std::vector<std::string> inputs(const std::string& function) override;
  lang::NamedValues predict(const lang::NamedValues&, const std::string& function, lang::HostState*) override;
  std::shared_ptr<lang::HostState> make_state(const std::string& function) override;
  lang::Value explain(const std::string& chip) override;
  std::vector<std::string> tensors() override;
  Tensor tensor(const std::string& name) override;

  const Model& model() const { return *model_; }

 private:
  std::shared_ptr<Model> model_;
  std::function<void(std::string_view)> warn_;
};

}  // namespace tl
