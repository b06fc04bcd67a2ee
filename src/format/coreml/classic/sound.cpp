// SPDX-License-Identifier: Apache-2.0
// SoundAnalysisPreprocessing: 0.975 seconds of sound at 16 kHz as VGGish takes it, the logarithm of 64 mel
// bands in 96 frames.
#include <cmath>

#include "format/coreml/classic/classic.h"
#include "format/coreml/classic/sketch.h"
#include "op/formulas.h"

namespace tl::coreml {
namespace {

constexpr Dim window = 400, hop = 160, fourier = 512, bins = fourier / 2 + 1, bands = 64, frames = 96;
constexpr Dim samples = (frames - 1) * hop + window;
constexpr double rate = 16000, lowest = 125, highest = 7500, pi = 3.14159265358979323846;

double mel(double hertz) { return 1127 * std::log1p(hertz / 700); }

// [window, bins]: a windowed sum of cosines or sines.
std::vector<double> waves(double (*wave)(double)) {
  std::vector<double> out;
  for (Dim t = 0; t < window; ++t) {
    double hann = 0.5 - 0.5 * std::cos(2 * pi * static_cast<double>(t) / window);
    for (Dim f = 0; f < bins; ++f)
      out.push_back(hann * wave(2 * pi * static_cast<double>(t * f % fourier) / fourier));
  }
  return out;
}

// [bins, bands]: triangles that are straight on the mel scale.
std::vector<double> triangles() {
  double step = (mel(highest) - mel(lowest)) / (bands + 1);
  std::vector<double> out;
  for (Dim f = 0; f < bins; ++f)
    for (Dim b = 0; b < bands; ++b) {
      double at =
          (mel(static_cast<double>(f) * rate / fourier) - mel(lowest)) / step - static_cast<double>(b);
      out.push_back(f == 0 ? 0 : std::max(0.0, std::min(at, 2 - at)));
    }
  return out;
}

std::vector<std::int64_t> places() {
  std::vector<std::int64_t> out;
  for (Dim frame = 0; frame < frames; ++frame)
    for (Dim t = 0; t < window; ++t) out.push_back(frame * hop + t);
  return out;
}

}  // namespace

void lower_sound(const Message& message, Function& function) {
  must(message.has(20), "says nothing of how sound is prepared");
  Sketch sketch(function);
  Ex x = sketch.only();
  must(!is_known(x.shape()[1]) || x.shape()[1] == samples, "takes 15600 samples of sound");
  Ex flat = emit(ops::gather, {x, sketch.whole(places())}, {{"axis", std::int64_t{1}}});
  Ex framed = emit(ops::reshape, {flat, sketch.whole({-1, frames, window})});
  Ex re = emit(ops::matmul, {framed, sketch.doubles(waves(std::cos), {window, bins})});
  Ex im = emit(ops::matmul, {framed, sketch.doubles(waves(std::sin), {window, bins})});
  Ex magnitude = sqrt(square(re) + square(im));
  Ex banded = emit(ops::matmul, {magnitude, sketch.doubles(triangles(), {bins, bands})});
  sketch.give_only(log(banded + 0.01));
  sketch.finish();
}

}  // namespace tl::coreml
