// SPDX-License-Identifier: Apache-2.0
// Finding a format by content: the first step of opening a model.
#include "format/detect.h"

#include <algorithm>
#include <optional>

#include "base/file.h"
#include "base/storage.h"
#include "base/text.h"

namespace tl {
namespace {

[[noreturn]] void refuse(const std::string& path, std::string_view why) {
  throw Error(Code::unsupported, text("{}: {}", path, why));
}

bool starts(Bytes bytes, std::string_view magic) {
  return bytes.size() >= magic.size() && as_text(bytes.first(magic.size())) == magic;
}

bool contains(Bytes bytes, std::string_view word) {
  return as_text(bytes).find(word) != std::string_view::npos;
}

bool ends(std::string_view name, std::string_view suffix) {
  return name.size() >= suffix.size() && name.substr(name.size() - suffix.size()) == suffix;
}

// ---- folders

Format folder_format(const std::string& path) {
  for (const char* name : {"coremldata.bin", "model.mil", "model.espresso.net"})
    if (is_file(join_path(path, name))) return Format::coreml_compiled;
  bool foreign = ends(file_name(path), ".aimodel");
  if (is_file(join_path(path, "Manifest.json")) && !foreign) return Format::coreml_package;
  if (foreign) refuse(path, "is an .aimodel, which tl does not read: export the model as an .mlpackage");
  if (is_file(join_path(path, "saved_model.pb")))
    refuse(path, "is a TensorFlow SavedModel: convert it with coremltools to an .mlpackage");
  for (const std::string& name : list_folder(path))
    for (std::string_view suffix : {".mlpackage", ".mlmodelc", ".mlmodel", ".gguf", ".safetensors"})
      if (ends(name, suffix))
        refuse(path, text("is a folder, not a model: did you mean {}?", join_path(path, name)));
  refuse(path, "is a folder, but not a model: it has no Manifest.json, coremldata.bin or model.mil");
}

// ---- files

// One varint of protobuf; nothing if it does not end.
std::optional<std::uint64_t> varint(Reader& in) {
  std::uint64_t value = 0;
  for (int shift = 0; shift < 64 && !in.done(); shift += 7) {
    auto byte = in.value<std::uint8_t>();
    value |= std::uint64_t{byte & 0x7fu} << shift;
    if (byte < 0x80) return value;
  }
  return std::nullopt;
}

enum class Message { none, coreml, onnx };

// Both Core ML's Model and ONNX's begin with a version in field 1 and go on with field 2; what tells them
// apart is where the content is: field 200 and up, or field 7. Only the tags of the outermost message are
// read.
Message message_kind(Bytes bytes) {
  Reader in(bytes);
  if (!starts(bytes, "\x08")) return Message::none;
  Message likely = Message::none;
  while (!in.done()) {
    std::optional<std::uint64_t> tag = varint(in);
    if (!tag) return likely;
    std::uint64_t field = *tag >> 3, wire = *tag & 7;
    if (field >= 200 && field <= 3000 && wire == 2) return Message::coreml;
    if (field == 7 && wire == 2) return Message::onnx;
    if (field == 0 || field > 100 || (wire != 0 && wire != 2)) return likely;
    std::optional<std::uint64_t> value = varint(in);
    if (!value) return likely;
    if (wire == 0) continue;
    // A description begins with an input, an output or metadata; ONNX has the producer's name, which is text.
    if (field == 2 && (starts(in.peek(1), "\n") || starts(in.peek(1), "R") || starts(in.peek(2), "\xa2\x06")))
      likely = Message::coreml;
    if (*value > in.left()) return likely;
    in.skip(*value);
  }
  return likely;
}

bool looks_like_safetensors(Bytes bytes) {
  Reader in(bytes);
  if (bytes.size() < 10) return false;
  std::uint64_t header = in.u64();
  return header >= 2 && header < (1u << 30) && starts(in.peek(1), "{");
}

// The JSON beside the shards of a model in several files.
bool looks_like_index(Bytes bytes) { return starts(bytes, "{") && contains(bytes, "\"weight_map\""); }

[[noreturn]] void refuse_zip(const std::string& path, Bytes bytes) {
  std::size_t window = std::min<std::size_t>(bytes.size(), 1 << 16);
  Bytes head = bytes.first(window), tail = bytes.last(window);
  auto names = [&](std::string_view word) { return contains(head, word) || contains(tail, word); };
  if (names("Manifest.json") || names(".mlpackage/") || names(".mlmodelc/") || names("coremldata.bin"))
    refuse(path, text("is a zip of a model, unzip it first: unzip {}", path));
  if (names("data.pkl"))
    refuse(path,
           "is a PyTorch file: convert it with coremltools to an .mlpackage, or save its weights as "
           ".safetensors");
  if (names(".npy")) refuse(path, "is an .npz of arrays, not a model: give it with --inputs");
  refuse(path, text("is a zip archive, not a model; if it holds one, unzip it first: unzip {}", path));
}

void refuse_known(const std::string& path, Bytes bytes) {
  if (starts(bytes, "PK\x03\x04")) refuse_zip(path, bytes);
  if (bytes.size() > 2 && bytes[0] == std::byte{0x80} && bytes[1] >= std::byte{2} && bytes[1] <= std::byte{5})
    refuse(path, "is a Python pickle, probably of PyTorch: convert it with coremltools to an .mlpackage");
  if (bytes.size() >= 8 && as_text(bytes.subspan(4, 4)) == "TFL3")
    refuse(path, "is a TFLite model: convert its source with coremltools to an .mlpackage");
  if (starts(bytes, "\x89HDF"))
    refuse(path, "is an HDF5 file, probably of Keras: convert it with coremltools to an .mlpackage");
  if (ends(path, ".aimodel"))
    refuse(path, "is an .aimodel, which tl does not read: export the model as an .mlpackage");
  if (starts(bytes, "\x93NUMPY")) refuse(path, "is an array (.npy), not a model");
  if (starts(bytes, "version https://git-lfs"))
    refuse(path, "is a Git LFS pointer, not the file itself: fetch it with git lfs pull");
}

Format file_format(const std::string& path) {
  StoragePtr file = map_file(path);
  Bytes bytes(file->data(), file->size());
  if (starts(bytes, "GGUF")) return Format::gguf;
  refuse_known(path, bytes);
  Message message = message_kind(bytes);
  if (message == Message::coreml) return Format::coreml_model;
  if (looks_like_safetensors(bytes)) return Format::safetensors;
  if (looks_like_index(bytes)) return Format::safetensors_index;
  if (message == Message::onnx)
    refuse(path, "is an ONNX model: convert its source with coremltools to an .mlpackage");
  if (bytes.empty()) throw Error(Code::bad_input, text("{}: is empty", path));
  if (file_name(path) == "Manifest.json" || file_name(path) == "model.mil" ||
      file_name(path) == "coremldata.bin")
    refuse(path, text("is a part of a model: give the folder, {}", parent_path(path)));
  refuse(path, "is not a model that tl knows: .mlpackage, .mlmodel, .mlmodelc, .gguf, .safetensors");
}

}  // namespace

Format detect_format(const std::string& path) {
  return is_folder(path) ? folder_format(path) : file_format(path);
}

}  // namespace tl
