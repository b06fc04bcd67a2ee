// SPDX-License-Identifier: Apache-2.0
// Espresso's activations and elementwise operations, by number.
#include <limits>

#include "base/error.h"
#include "base/text.h"
#include "format/coreml/espresso/layer.h"

namespace tl::coreml::espresso {
namespace {

// ---- activations

enum class Takes { nothing, alpha, both };

struct Activation {
  std::int64_t mode;
  std::uint32_t field;  // of ActivationParams
  Takes takes = Takes::nothing;
};

constexpr Activation activations[] = {
    {0, 10},
    {1, 30},
    {2, 15, Takes::alpha},
    {3, 40},
    {5, 31, Takes::both},
    {6, 5, Takes::both},
    {7, 41, Takes::both},
    {8, 50, Takes::alpha},
    {9, 20, Takes::alpha},
    {10, 70},
    {12, 60},
};

void put_prelu(const Part& part, Out& network) {
  const Lengths* shape = part.shape(part.tops()[0]);
  if (!shape || shape->k < 1) unknown("an activation with slopes whose shape is not said");
  for (const char* key : {"blob_prelu_params", "blob_alpha", "blob_params", "blob_weights", "blob_nd_alpha"})
    if (part.has_weight(key)) {
      Out alpha = Out().message(1, part.weight(key, shape->k));
      return put(network, wires(part), 130, Out().message(25, alpha));
    }
  unknown("the slopes of an activation are not where they are known to be");
}

void put_clip(const Part& part, Out& network, double low, double high) {
  put(network, wires(part), 660, Out().real(1, low).real(2, high));
}

// x times its sigmoid.
void put_silu(const Part& part, Out& network) {
  std::string gate = part.tops()[0] + "/gate";
  put(network, {part.name() + "/gate", part.bottoms(), {gate}}, 130, Out().message(40, Out()));
  put(network, {part.name(), {part.bottoms()[0], gate}, part.tops()}, 231, Out());
}

// ---- elementwise operations

struct Operation {
  std::int64_t code;
  std::uint32_t one, two;   // the layer for one value and for two; 0: none
  std::uint32_t alpha = 0;  // field of the layer for one value that holds alpha
};

constexpr Operation operations[] = {
    {0, 0, 230},      {1, 0, 231},      {2, 230, 0, 1},   {3, 231, 0, 1},   {22, 0, 261},
    {23, 0, 260},     {13, 0, 885},     {33, 0, 905},     {36, 0, 865},     {35, 700, 0},
    {37, 685, 0},     {38, 680, 0},     {100, 0, 815},    {102, 0, 890},    {103, 0, 825},
    {104, 0, 827},    {105, 0, 830},    {107, 0, 820},    {114, 715, 0},    {115, 710, 0},
    {117, 670, 0},    {118, 665, 0},    {121, 720, 0},    {122, 755, 0},    {123, 750, 0},
    {124, 760, 0},    {125, 735, 0},    {126, 730, 0},    {127, 740, 0},    {128, 775, 0},
    {129, 770, 0},    {130, 780, 0},    {131, 825, 0, 2}, {132, 827, 0, 2}, {133, 830, 0, 2},
    {134, 832, 0, 2}, {135, 820, 0, 1}, {136, 815, 0, 1}, {10, 0, 890},     {1021, 0, 895},
};

// Those of one value that are a mode of the layer `unary`.
struct Unary {
  std::int64_t code, mode;
  bool takes_alpha = false;
  double alpha = 0;  // otherwise
};

constexpr Unary unaries[] = {
    {8, 3, false, 2}, {9, 3, false, 2}, {10, 2}, {11, 0}, {12, 1},
    {24, 6},          {25, 7, true},    {26, 5}, {27, 4}, {13, 3, true},
};

bool put_unary(const Part& part, Out& network, std::int64_t code) {
  for (const Unary& u : unaries) {
    if (u.code != code || part.bottoms().size() != 1) continue;
    Out p;
    p.num(1, u.mode).real(2, u.takes_alpha ? part.number("alpha") : u.alpha);
    if (double eps = part.number("eps"); eps > 0) p.real(3, eps);
    Fused(part, network)(220, p);
    return true;
  }
  return false;
}

bool put_operation(const Part& part, Out& network, std::int64_t code) {
  bool one = part.bottoms().size() == 1;
  for (const Operation& o : operations) {
    std::uint32_t type = one ? o.one : o.two;
    bool several = type >= 230 && type <= 261;
    if (o.code != code || type == 0 || (part.bottoms().size() > 2 && !several)) continue;
    // The older layers broadcast little; a net says where it counts on NumPy's rules.
    if (!one && part.flag("nd_mode"))
      type = type == 230 ? 880 : type == 231 ? 900 : type == 260 ? 875 : type == 261 ? 870 : type;
    Out p;
    if (one && o.alpha) p.real(o.alpha, part.number("alpha"));
    Fused(part, network)(type, p);
    return true;
  }
  return false;
}

}  // namespace

void put_activation(const Part& part, Out& network) {
  need_bottoms(part, 1);
  std::int64_t mode = part.integer("mode");
  for (const Activation& a : activations) {
    if (a.mode != mode) continue;
    Out p;
    if (a.takes != Takes::nothing) p.real(1, part.number("alpha"));
    if (a.takes == Takes::both) p.real(2, part.number("beta"));
    return put(network, wires(part), 130, Out().message(a.field, p));
  }
  constexpr double endless = std::numeric_limits<float>::max();
  switch (mode) {
    case 4: return put_prelu(part, network);
    case 13: return put_clip(part, network, part.number("alpha"), endless);
    case 19: return put(network, wires(part), 795, Out().num(1, 0));
    case 20: return put(network, wires(part), 790, Out());
    case 21: return put(network, wires(part), 795, Out().num(1, 1));
    case 22: return put(network, wires(part), 795, Out().num(1, 2));
    case 24: return put_clip(part, network, -endless, part.number("alpha"));
    case 25: return put_silu(part, network);
    default: unknown(text("activations of mode {} are not known", mode));
  }
}

void put_elementwise(const Part& part, Out& network) {
  std::int64_t code = part.integer("operation");
  if (part.bottoms().empty()) throw Error(Code::bad_input, "takes no values");
  if (put_unary(part, network, code) || put_operation(part, network, code)) return;
  if (code == 119 && part.bottoms().size() == 1)
    return Fused(part, network)(660, Out().real(1, part.number("alpha")).real(2, part.number("beta")));
  if (code == 101 && part.bottoms().size() == 3) return Fused(part, network)(1330, Out());
  unknown(text("the elementwise operation {} of {} values is not known", code, part.bottoms().size()));
}

}  // namespace tl::coreml::espresso
