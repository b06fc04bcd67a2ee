// SPDX-License-Identifier: Apache-2.0
// The files of an Espresso net, and its interface: preprocessing of images, labels of a classifier.
#include "format/coreml/espresso/espresso.h"

#include <map>

#include "base/error.h"
#include "base/text.h"
#include "format/coreml/espresso/part.h"
#include "format/coreml/network/network.h"

namespace tl::coreml {
namespace {

using espresso::BlobTable;
using espresso::Json;
using espresso::Lengths;
using espresso::Out;
using espresso::Part;

template <class Read> auto named(const char* file, const Read& read) {
  return with_note([&] { return file; }, read);
}

Json parsed(Bytes bytes) {
  std::string_view source = as_text(bytes);
  if (source.starts_with("pbze"))
    throw Error(Code::unsupported, "is compressed, as nets within Apple's systems are, and not read");
  Json json = Json::parse(source.begin(), source.end(), nullptr, false);
  if (!json.is_object()) throw Error(Code::bad_input, "is not JSON");
  return json;
}

// A count, then the number and length of every blob, then their bytes.
BlobTable read_blobs(Bytes bytes) {
  BlobTable out;
  if (bytes.empty()) return out;
  Reader in(bytes);
  std::uint64_t count = in.u64();
  if (count > in.left() / 16)
    throw Error(Code::bad_input, text("lists {} blobs, more than it has room for", count));
  std::vector<std::pair<std::uint64_t, std::uint64_t>> table;
  for (std::uint64_t i = 0; i < count; ++i) {
    std::uint64_t id = in.u64();
    table.emplace_back(id, in.u64());
  }
  for (auto [id, size] : table) out[static_cast<std::int64_t>(id)] = in.take(size);
  return out;
}

std::int64_t length_in(const Json& shape, const char* key) {
  auto found = shape.find(key);
  std::int64_t n = found != shape.end() && found->is_number_integer() ? found->get<std::int64_t>() : 1;
  if (n < 0 || n > (std::int64_t{1} << 31))
    throw Error(Code::bad_input, text("a length of {} is not possible", n));
  return n;
}

std::map<std::string, Lengths> read_shapes(Bytes bytes) {
  std::map<std::string, Lengths> out;
  if (bytes.empty()) return out;
  Json json = parsed(bytes);
  auto shapes = json.find("layer_shapes");
  if (shapes == json.end() || !shapes->is_object()) return out;
  for (const auto& [name, s] : shapes->items())
    if (s.is_object())
      out[name] = {length_in(s, "seq"), length_in(s, "n"), length_in(s, "k"), length_in(s, "h"),
                   length_in(s, "w")};
  return out;
}

void put_layers(const Json& net, const BlobTable& blobs, const std::map<std::string, Lengths>& shapes,
                Out& network) {
  auto layers = net.find("layers");
  if (layers == net.end() || !layers->is_array()) throw Error(Code::bad_input, "has no list of layers");
  std::size_t at = 0;
  for (const Json& layer : *layers) {
    auto what = [&] {
      bool known = layer.is_object() && layer.contains("name") && layer["name"].is_string();
      return known ? text("layer '{}'", printable(layer["name"].get<std::string>())) : text("layer {}", at);
    };
    with_note(what, [&] {
      if (!layer.is_object()) throw Error(Code::bad_input, "is not an object");
      put_part(Part(layer, blobs, shapes), network);
    });
    ++at;
  }
}

double number_in(const Json& object, const char* key, double fallback) {
  auto found = object.find(key);
  return found != object.end() && found->is_number() ? found->get<double>() : fallback;
}

// value = scale * pixel + bias, for inputs that are images.
void put_preprocessing(const Json& net, const Function& function, Out& network) {
  auto all = net.find("transform_params");
  if (all == net.end() || !all->is_object()) return;
  for (const Feature& feature : function.interface.inputs) {
    auto one = all->find(feature.name);
    if (feature.kind != FeatureKind::image || one == all->end() || !one->is_object()) continue;
    Out scaler;
    scaler.real(10, number_in(*one, "scale", 1)).real(20, number_in(*one, "bias_b", 0));
    scaler.real(21, number_in(*one, "bias_g", 0)).real(22, number_in(*one, "bias_r", 0));
    scaler.real(
        30, number_in(*one, "bias_a", 0) != 0 ? number_in(*one, "bias_a", 0) : number_in(*one, "bias_r", 0));
    network.message(2, Out().text(1, feature.name).message(10, scaler));
  }
}

// The end of a classifier's coremldata.bin.
void put_classes(std::string_view trailer, Out& network) {
  Reader in(as_bytes(trailer));
  if (in.u64() != 403) throw Error(Code::bad_input, "says nothing of the classes");
  std::uint64_t kind = in.u64(), count = in.u64();
  if (count > in.left() / 8)
    throw Error(Code::bad_input, text("lists {} classes, more than it has room for", count));
  if (kind != 100 && kind != 101)
    throw Error(Code::unsupported, text("labels of kind {} are not known", kind));
  Out labels;
  for (std::uint64_t i = 0; i < count; ++i) {
    if (kind == 100) labels.text(1, in.counted_text());
    else labels.num(1, static_cast<std::int64_t>(in.u64()));
  }
  network.message(static_cast<std::uint32_t>(kind), labels);
  network.text(200, in.counted_text());
}

}  // namespace

void lower_espresso(const EspressoFiles& files, std::uint32_t type, Function& function) {
  try {
    BlobTable blobs = named("model.espresso.weights", [&] { return read_blobs(files.weights); });
    std::map<std::string, Lengths> shapes =
        named("model.espresso.shape", [&] { return read_shapes(files.shape); });
    Out network;
    named("model.espresso.net", [&] {
      Json net = parsed(files.net);
      put_preprocessing(net, function, network);
      put_layers(net, blobs, shapes, network);
    });
    if (type == 403) named("coremldata.bin", [&] { put_classes(files.trailer, network); });
    lower_network(Message(network.bytes()), type, nullptr, function);
  } catch (const Error& error) {
    if (error.code() != Code::unsupported) throw;
    function.why_not = error.what();
  }
}

}  // namespace tl::coreml
