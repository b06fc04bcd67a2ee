// SPDX-License-Identifier: Apache-2.0
// NetworkUpdateParameters as metadata.
#include "format/coreml/network/training.h"

#include "base/text.h"

namespace tl::coreml {
namespace {

void add(ModelFile& file, std::string key, std::variant<std::int64_t, double, std::string> value) {
  MetaValue meta;
  std::visit([&](auto& v) { meta.value = std::move(v); }, value);
  file.meta.emplace_back("training." + std::move(key), std::move(meta));
}

void add_number(ModelFile& file, const Message& parameters, std::uint32_t tag, const std::string& key) {
  Message m = parameters.message(tag);  // a default and what else is allowed, of doubles or of integers
  if (m.number(1) != 0) add(file, key, m.number(1));
  else if (m.integer(1) != 0) add(file, key, m.integer(1));
}

void add_losses(ModelFile& file, const Message& update) {
  for (const Message& loss : update.messages(1)) {
    std::uint32_t kind = loss.choice(10, 11);
    Message m = loss.message(kind);
    if (kind)
      add(file, "loss",
          tl::text("{} of '{}' against '{}'", kind == 10 ? "categorical cross entropy" : "mean squared error",
                   printable(m.text(1)), printable(m.text(2))));
  }
}

void add_optimizer(ModelFile& file, const Message& optimizer) {
  std::uint32_t kind = optimizer.choice(10, 11);
  if (!kind) return;
  Message m = optimizer.message(kind);
  add(file, "optimizer", std::string(kind == 10 ? "SGD" : "Adam"));
  add_number(file, m, 1, "learning_rate");
  add_number(file, m, 2, "mini_batch_size");
  if (kind == 10) return add_number(file, m, 3, "momentum");
  add_number(file, m, 3, "beta1"), add_number(file, m, 4, "beta2"), add_number(file, m, 5, "epsilon");
}

}  // namespace

void read_training(const Message& network, ModelFile& file) {
  std::string layers;
  for (const Message& layer : network.messages(1))
    if (layer.flag(10)) layers += tl::text("{}'{}'", layers.empty() ? "" : ", ", printable(layer.text(1)));
  if (!layers.empty()) add(file, "updatable_layers", layers);
  Message update = network.message(10);
  add_losses(file, update);
  add_optimizer(file, update.message(2));
  add_number(file, update, 3, "epochs");
}

}  // namespace tl::coreml
