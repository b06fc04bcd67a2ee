// SPDX-License-Identifier: Apache-2.0
// What every reader returns: what is in the file (interface, metadata, weights) and, where it holds a
// program, the graphs. model/ turns it into something that runs.
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <optional>

#include "ir/conversion.h"
#include "ir/graph.h"

namespace tl {

// ---- features: what a model takes and gives

enum class FeatureKind : std::uint8_t { tensor, image, int64, double_, string, dictionary, sequence, state };
std::string_view name_of(
    FeatureKind);  // "tensor", "image", "int64", "double", "string", "dictionary", "sequence", "state"

enum class ColorSpace : std::uint8_t { gray, rgb, bgr, gray_f16 };

struct DimRange {  // inclusive; highest < 0: unbounded
  std::int64_t lowest = 1, highest = -1;
};

struct Feature {
  std::string name = {}, description = {};
  FeatureKind kind = FeatureKind::tensor;
  DType dtype = DType::f32;   // tensor, state, sequence: of elements
  DType key = DType::string;  // dictionary
  Shape shape = {};           // tensor, state: the default shape; image: [height, width]
  ColorSpace color = ColorSpace::rgb;
  std::vector<Shape> enumerated = {};  // allowed shapes (image: [height, width]), if not empty
  std::vector<DimRange> ranges = {};   // one per dimension of shape, if not empty
  bool optional = false;
  std::optional<double> fallback = {};  // of an optional tensor; zeros if not set
  bool five = false;  // [Seq, Batch, C, H, W] inside: shape is the end of it, [C] or [C, H, W]
  bool flexible() const { return !enumerated.empty() || !ranges.empty(); }
};

// Lengths as an older network takes them: [C], [Seq, C], [C, H, W], [Batch, C, H, W] or all five.
Shape five_dims(const Shape&);

struct Interface {
  std::vector<Feature> inputs = {}, outputs = {}, states = {};
  std::string predicted_feature = {},
              predicted_probabilities = {};  // names of outputs, of classifiers and regressors
};

struct Function {
  std::string name = "main";
  Interface interface = {};
  std::optional<Graph> graph = {};            // none, and no conversion: recognised and shown, not run
  std::optional<Conversion> conversion = {};  // instead of a graph
  bool by_rows = false;  // the graph computes on rows: each input is [rows, n], each output begins with rows
  Tensor labels = {};    // of a graph by rows: its words and whole numbers are places among these classes
  std::string why_not = {};  // then: the sentence that says why
  std::string opset = {};    // "CoreML7", "ios17"
};

// Turns of an image input into the network's values, where a model file states them apart from its graph:
// value = scale * pixel + bias of its channel.
struct Preprocess {
  std::string feature = {};
  double scale = 1;
  std::vector<double> bias = {};  // in the order of the tensor's channels
};

// ---- weights by name: what a file without a program holds, and what `tl show` lists

struct NamedTensor {
  std::string name = {};
  std::string stored = {};  // the stored type as the format spells it: "Q4_0", "F16", "fp16"
  Shape shape = {};         // outermost first
  StoragePtr file = {};     // where the stored bytes are
  std::uint64_t offset = 0, bytes = 0;
  bool readable = true;  // false: shown, but the stored type cannot be read as numbers yet
};

struct MetaValue {  // of a format's own metadata: GGUF key-values, SafeTensors __metadata__, user-defined
                    // entries
  std::variant<bool, std::int64_t, std::uint64_t, double, std::string, std::vector<MetaValue>> value = {};
};

// The message of a model that no graph says in full (trees, tables of words …): written back as it was read.
struct Verbatim {
  std::uint32_t type = 0;  // of model, by its number in the format; 0: there is none
  StoragePtr file = {};
  std::uint64_t offset = 0, bytes = 0;
};

struct ModelFile {
  std::string path = {};
  std::string format = {};     // "CoreML", "GGUF", "SafeTensors"
  std::string container = {};  // "mlpackage", "mlmodel", "mlmodelc", "gguf", "safetensors"
  std::string type =
      {};  // "mlProgram", "neuralNetworkClassifier", "pipeline", "treeEnsembleRegressor", "llama" …
  std::string name = {}, author = {}, license = {}, version = {}, description = {};
  int spec_version = 0;                                        // Core ML specificationVersion; GGUF version
  std::vector<std::pair<std::string, std::string>> user = {};  // user-defined metadata
  std::vector<std::pair<std::string, MetaValue>> meta = {};    // the format's own, in the order of the file
  std::vector<Function> functions = {};
  std::string default_function = "main";
  std::vector<Preprocess> preprocess = {};
  std::vector<NamedTensor> tensors = {};
  std::vector<std::pair<std::string, std::int64_t>> layers =
      {};  // type and count, where there is no graph to count
  std::vector<std::pair<std::string, ModelFile>> parts =
      {};  // pipelines: models wired by feature name, in order
  Verbatim message = {};
  std::string quantization_hint = {};  // the format's own word (GGUF general.file_type), if it says one
  // Reads tensor k as numbers: dequantised to fp32 where the stored type is quantised, else a view of the
  // file.
  std::function<Tensor(const NamedTensor&)> read_tensor = {};
};

}  // namespace tl
