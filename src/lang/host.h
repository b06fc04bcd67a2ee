// SPDX-License-Identifier: Apache-2.0
// What the language needs of the world: operations carried out, models, files, a place to print. Implemented
// above this folder, so that the language knows neither formats nor backends.
#pragma once
#include <memory>
#include <span>

#include "lang/value.h"

namespace tl::lang {

class HostState {
 public:
  virtual ~HostState() = default;
};

using NamedValues = std::vector<std::pair<std::string, Value>>;

class HostModel {
 public:
  virtual ~HostModel() = default;
  virtual Value metadata() = 0;  // a map with the names of `m.metadata`
  virtual std::vector<std::string> functions() = 0;
  // Names of the inputs; "" is the default function. Throws Error if there is no such function.
  virtual std::vector<std::string> inputs(const std::string& function) = 0;
  // One named value per output, in the declared order. Throws Error saying what the model takes where inputs
  // do not fit.
  virtual NamedValues predict(const NamedValues& inputs, const std::string& function, HostState* state) = 0;
  virtual std::shared_ptr<HostState> make_state(const std::string& function) = 0;
  // Where its operations would run on the chip ("" is M1), as maps and lists.
  virtual Value explain(const std::string& chip) = 0;
  virtual std::vector<std::string> tensors() = 0;
  virtual Tensor tensor(const std::string& name) = 0;  // as numbers, whatever the stored type; throws Error
};

class Host {
 public:
  virtual ~Host() = default;
  // Carries out one operation; an input without storage is absent.
  virtual std::vector<Tensor> evaluate(const OpDef&, std::span<const Tensor> inputs, const Attrs&) = 0;
  virtual std::shared_ptr<HostModel> load_model(const std::string& path, const std::string& device) = 0;
  virtual Tensor load_image(const std::string& path) = 0;  // uint8 [H, W, 3] or [H, W]
  virtual Value load_data(const std::string& path) = 0;    // .npy a tensor, .npz and .json by their content
  virtual void save(const Value& value, const std::string& path) = 0;
  virtual std::string read_text(const std::string& path) = 0;  // of a script
  virtual void print(std::string_view text) = 0;               // to standard output
  virtual void warn(std::string_view line) = 0;                // to standard error
  virtual bool interrupted() = 0;                              // asked often: must be cheap
  virtual std::vector<std::string> devices() = 0;              // {"cpu"}
};

struct ModelObject : Object {
  explicit ModelObject(std::shared_ptr<HostModel> m) : model(std::move(m)) {}
  std::shared_ptr<HostModel> model;
};
struct StateObject : Object {
  explicit StateObject(std::shared_ptr<HostState> s) : state(std::move(s)) {}
  std::shared_ptr<HostState> state;
};

}  // namespace tl::lang
