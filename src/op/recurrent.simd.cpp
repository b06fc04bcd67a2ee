// SPDX-License-Identifier: Apache-2.0
// Recurrent layers on the CPU: the inputs of many steps are multiplied at once, then step by step every block
// of units adds the product with the state and makes its next state. Layout: op/recurrent_plan.h.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "op/recurrent.simd.cpp"
#include "simd/targets.inc"

#include <hwy/highway.h>

#include <hwy/contrib/math/math-inl.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

#include "op/kernels.h"
#include "op/ops.h"
#include "op/packed.h"
#include "op/recurrent_plan.h"
#include "op/scalar.h"

HWY_BEFORE_NAMESPACE();
namespace tl::HWY_NAMESPACE {
#include "simd/vector.inc"

#include "simd/math.inc"
namespace {

using Vec = hn::Vec<F32>;
constexpr std::int64_t most_rows =
    HWY_TARGET <= HWY_AVX3 ? 4 : 2;  // of the batch at once, as the registers allow

HWY_INLINE Real activated(Activation a, Real x) {
  switch (a) {
    case Activation::relu: return maximum(x, 0);
    case Activation::tanh: return tanh(x);
    case Activation::sigmoid: return Real(1) / (1 + exp(-x));
    case Activation::linear: return x;
    case Activation::hard_sigmoid: return maximum(minimum(multiply_add(x, 0.2, 0.5), 1), 0);
  }
  return x;
}

struct Rows {  // floats in rows that begin `step` apart
  const float* HWY_RESTRICT data;
  std::int64_t step;
};

// sums[r][g] += x[r] * w[g], over the depth; a row of w is [gate][lane].
template <int G, int R> HWY_INLINE void add_products(Rows w, Rows x, std::int64_t depth, Vec (&sums)[R][G]) {
  std::int64_t k = 0;
  if constexpr (R * G <= 4) {  // two sums each: one alone would wait for itself
    Vec odd[R][G];
    for (auto& gates : odd)
      for (Vec& v : gates) v = hn::Zero(f32);
    for (; k + 2 <= depth; k += 2)
      for (int g = 0; g < G; ++g) {
        Vec even_w = hn::LoadU(f32, w.data + k * w.step + g * lanes),
            odd_w = hn::LoadU(f32, w.data + (k + 1) * w.step + g * lanes);
        for (int r = 0; r < R; ++r) {
          sums[r][g] = hn::MulAdd(hn::Set(f32, x.data[r * x.step + k]), even_w, sums[r][g]);
          odd[r][g] = hn::MulAdd(hn::Set(f32, x.data[r * x.step + k + 1]), odd_w, odd[r][g]);
        }
      }
    for (int r = 0; r < R; ++r)
      for (int g = 0; g < G; ++g) sums[r][g] = hn::Add(sums[r][g], odd[r][g]);
  }
  for (; k < depth; ++k) {
    Vec weight[G];
    for (int g = 0; g < G; ++g) weight[g] = hn::LoadU(f32, w.data + k * w.step + g * lanes);
    for (int r = 0; r < R; ++r) {
      Vec value = hn::Set(f32, x.data[r * x.step + k]);
      for (int g = 0; g < G; ++g) sums[r][g] = hn::MulAdd(value, weight[g], sums[r][g]);
    }
  }
}

// body<R>(first row) over all rows, R at a time.
template <class Body> HWY_INLINE void by_rows(std::int64_t rows, const Body& body) {
  std::int64_t r = 0;
  if constexpr (most_rows >= 4)
    for (; r + 4 <= rows; r += 4) body.template run<4>(r);
  for (; r + 2 <= rows; r += 2) body.template run<2>(r);
  if (r < rows) body.template run<1>(r);
}

// The product of a block's input weights with some rows of inputs, plus the bias: [row][gate][lane].
template <int G> struct InputProduct {
  const float *w, *bias, *x;
  std::int64_t width;
  float* to;

  template <int R> HWY_INLINE void run(std::int64_t first) const {
    Vec sums[R][G];
    for (auto& gates : sums)
      for (int g = 0; g < G; ++g) gates[g] = hn::LoadU(f32, bias + g * lanes);
    add_products<G, R>({w, G * lanes}, {x + first * width, width}, width, sums);
    for (int r = 0; r < R; ++r)
      for (int g = 0; g < G; ++g) hn::StoreU(sums[r][g], f32, to + ((first + r) * G + g) * lanes);
  }
};

struct StepState {  // where one step of one direction reads and writes; states are [row][unit]
  RecurrentImage image;
  const float* products;  // of this step, block 0: [row][gate][lane]
  std::int64_t block_stride;
  const float* h;
  float *next, *c, *reset, *keep;
};

template <int G, int R>
HWY_INLINE void load_products(const float* products, std::int64_t first, int gates, Vec (&sums)[R][G]) {
  for (int r = 0; r < R; ++r)
    for (int g = 0; g < G; ++g) sums[r][g] = hn::LoadU(f32, products + ((first + r) * gates + g) * lanes);
}

struct LstmStep {
  const RecurrentPlan& plan;
  const StepState& s;
  std::int64_t block;

  template <int R> HWY_INLINE void run(std::int64_t first) const {
    std::int64_t units = plan.units(), at = block * lanes;
    Vec sums[R][4];
    load_products<4, R>(s.products + block * s.block_stride, first, 4, sums);
    add_products<4, R>({s.image.r + block * plan.hidden * 4 * lanes, 4 * lanes}, {s.h + first * units, units},
                       plan.hidden, sums);
    const float* peephole = s.image.rest + plan.peephole_at() + at;
    for (int r = 0; r < R; ++r) {
      float* cell = s.c + (first + r) * units + at;
      Real c = load(cell), i = multiply_add(load(peephole), c, sums[r][0]),
           f = multiply_add(load(peephole + units), c, sums[r][1]);
      c = multiply_add(activated(plan.gate, f), c,
                       activated(plan.gate, i) * activated(plan.candidate, sums[r][3]));
      if (plan.clip > 0)
        c = maximum(minimum(c, static_cast<double>(plan.clip)), -static_cast<double>(plan.clip));
      Real o = multiply_add(load(peephole + 2 * units), c, sums[r][2]);
      store(c, cell);
      store(activated(plan.gate, o) * activated(plan.output, c), s.next + (first + r) * units + at);
    }
  }
};

struct RnnStep {
  const RecurrentPlan& plan;
  const StepState& s;
  std::int64_t block;

  template <int R> HWY_INLINE void run(std::int64_t first) const {
    std::int64_t units = plan.units();
    Vec sums[R][1];
    load_products<1, R>(s.products + block * s.block_stride, first, 1, sums);
    add_products<1, R>({s.image.r + block * plan.hidden * lanes, 1 * lanes}, {s.h + first * units, units},
                       plan.hidden, sums);
    for (int r = 0; r < R; ++r)
      store(activated(plan.output, sums[r][0]), s.next + (first + r) * units + block * lanes);
  }
};

// Gates in the image: reset, update, new. The first half gives reset * state (or the reset gate) and update.
struct GruGates {
  const RecurrentPlan& plan;
  const StepState& s;
  std::int64_t block;

  template <int R> HWY_INLINE void run(std::int64_t first) const {
    std::int64_t units = plan.units();
    Vec sums[R][2];
    load_products<2, R>(s.products + block * s.block_stride, first, 3, sums);
    add_products<2, R>({s.image.r + block * plan.hidden * 3 * lanes, 3 * lanes}, {s.h + first * units, units},
                       plan.hidden, sums);
    for (int r = 0; r < R; ++r) {
      std::int64_t at = (first + r) * units + block * lanes;
      Real reset = activated(plan.gate, sums[r][0]);
      store(plan.reset_after ? reset : reset * load(s.h + at), s.reset + at);
      store(activated(plan.gate, sums[r][1]), s.keep + at);
    }
  }
};

struct GruState {
  const RecurrentPlan& plan;
  const StepState& s;
  std::int64_t block;

  template <int R> HWY_INLINE void run(std::int64_t first) const {
    std::int64_t units = plan.units();
    const float* products = s.products + block * s.block_stride;
    Vec sums[R][1];
    for (auto& sum : sums) sum[0] = hn::LoadU(f32, s.image.rest + plan.state_bias_at() + block * lanes);
    const float* state = plan.reset_after ? s.h : s.reset;
    add_products<1, R>({s.image.r + (block * plan.hidden * 3 + 2) * lanes, 3 * lanes},
                       {state + first * units, units}, plan.hidden, sums);
    for (int r = 0; r < R; ++r) {
      std::int64_t at = (first + r) * units + block * lanes;
      Real from_input = load(products + ((first + r) * 3 + 2) * lanes), from_state = sums[r][0];
      Real candidate =
          activated(plan.output, plan.reset_after ? multiply_add(load(s.reset + at), from_state, from_input)
                                                  : from_input + from_state);
      Real z = load(s.keep + at);
      store(multiply_add(z, load(s.h + at), (1 - z) * candidate), s.next + at);
    }
  }
};

template <class Part>
HWY_NOINLINE void run_blocks(const RecurrentPlan& plan, const StepState& s, std::int64_t first,
                             std::int64_t last) {
  for (std::int64_t block = first; block < last; ++block) by_rows(plan.batch, Part{plan, s, block});
}

template <int G> HWY_NOINLINE void input_products(const InputProduct<G>& product, std::int64_t rows) {
  by_rows(rows, product);
}

template <class T> HWY_NOINLINE void widen_all(const T* from, std::int64_t n, float* to) {
  std::int64_t i = 0;
  for (; i + lanes <= n; i += lanes) store(load(from + i), to + i);
  if (i < n) store_some(load_some(from + i, n - i), to + i, n - i);
}

template <class T> HWY_NOINLINE void narrow_all(const float* from, std::int64_t n, T* to) {
  std::int64_t i = 0;
  for (; i + lanes <= n; i += lanes) store(load(from + i), to + i);
  if (i < n) store_some(load_some(from + i, n - i), to + i, n - i);
}

template <class T> class Recurrent final : public Kernel {
 public:
  Recurrent(RecurrentPlan plan, const KernelRequest& request) : plan_(plan) {
    constant_ = true;
    for (int d = 0; d < plan_.directions; ++d) {
      const RecurrentInputs& in = plan_.inputs[d];
      for (std::size_t i : {in.w, in.r, in.bias, in.input_bias, in.peephole})
        constant_ = constant_ && (i == 0 || request.constant(i));
    }
    if (constant_) pack_now(request);
    // States: h twice, c, two of the GRU; then the products of a chunk, widened inputs, images if they are
    // not constant.
    std::int64_t states = 5 * plan_.batch * plan_.units(), rows = plan_.chunk * plan_.batch;
    products_at_ = states;
    input_at_ = products_at_ + rows * plan_.units() * plan_.gates;
    images_at_ = (input_at_ + rows * plan_.width + 31) / 16 * 16;
    scratch =
        static_cast<std::size_t>(images_at_ + (constant_ ? 0 : plan_.directions * plan_.image_floats())) *
        sizeof(float);
    flops = 2.0 * static_cast<double>(plan_.steps * plan_.batch * plan_.directions * plan_.gates *
                                      plan_.hidden * (plan_.width + plan_.hidden));
  }

  void run(const KernelCall& call) const noexcept override {
    auto* space = reinterpret_cast<float*>(call.scratch);
    for (int d = 0; d < plan_.directions; ++d) {
      RecurrentImage image = constant_ ? known_[d] : pack_into(space + images_at_, d, call.in);
      one_direction(call, d, image, space);
    }
  }

 private:
  RecurrentImage pack_into(float* to, int d, const std::byte* const* in) const {
    const RecurrentInputs& inputs = plan_.inputs[d];
    float *r = to + plan_.w_floats(), *rest = r + plan_.r_floats();
    pack_recurrent_matrix(plan_, DTypeOf<T>::value, in[inputs.w], plan_.width, to);
    pack_recurrent_matrix(plan_, DTypeOf<T>::value, in[inputs.r], plan_.hidden, r);
    pack_recurrent_rest(plan_, d, DTypeOf<T>::value, in, rest);
    return {to, r, rest};
  }

  void pack_now(const KernelRequest& request) {
    std::vector<const std::byte*> in(request.in.size(), nullptr);
    packed.assign(request.in.size(), false);
    for (int d = 0; d < plan_.directions; ++d) {
      const RecurrentInputs& inputs = plan_.inputs[d];
      for (std::size_t i : {inputs.w, inputs.r, inputs.bias, inputs.input_bias, inputs.peephole})
        if (i) in[i] = request.constant(i)->data(), packed[i] = true;
      StoragePtr rest = allocate(static_cast<std::size_t>(plan_.rest_floats()) * sizeof(float));
      pack_recurrent_rest(plan_, d, DTypeOf<T>::value, in.data(), reinterpret_cast<float*>(rest->data()));
      known_[d] = {matrix(request, inputs.w, plan_.width), matrix(request, inputs.r, plan_.hidden),
                   reinterpret_cast<const float*>(rest->data())};
      images_.push_back(std::move(rest));
    }
  }

  const float* matrix(const KernelRequest& request, std::size_t input, std::int64_t depth) {
    const Tensor& from = *request.constant(input);
    auto bytes = static_cast<std::size_t>(plan_.units() * plan_.gates * depth) * sizeof(float);
    images_.push_back(
        packed_constant(request.machine, from, recurrent_form(plan_, depth), bytes, [&](std::byte* to) {
          pack_recurrent_matrix(plan_, DTypeOf<T>::value, from.data(), depth, reinterpret_cast<float*>(to));
        }));
    return reinterpret_cast<const float*>(images_.back()->data());
  }

  std::int64_t time_of(int d, std::int64_t k) const {
    return plan_.reverse || d == 1 ? plan_.steps - 1 - k : k;
  }

  void one_direction(const KernelCall& call, int d, const RecurrentImage& image, float* space) const {
    std::int64_t state = plan_.batch * plan_.units();
    float *h = space, *next = space + state, *c = space + 2 * state;
    load_state(call.input<T>(1), d, h);
    if (plan_.cell == Cell::lstm) load_state(call.input<T>(2), d, c);
    for (std::int64_t first = 0; first < plan_.steps; first += plan_.chunk) {
      std::int64_t count = std::min(plan_.chunk, plan_.steps - first);
      multiply_inputs(call, d, image, {first, count}, space);
      for (std::int64_t k = first; k < first + count; ++k) {
        // Rows of a chunk lie in the order of time, so a backward direction reads them from their end.
        std::int64_t low = std::min(time_of(d, first), time_of(d, first + count - 1)),
                     row = (time_of(d, k) - low) * plan_.batch;
        StepState s{image,
                    space + products_at_ + row * plan_.gates * lanes,
                    count * plan_.batch * plan_.gates * lanes,
                    h,
                    next,
                    c,
                    space + 3 * state,
                    space + 4 * state};
        step(call.pool, s);
        std::swap(h, next);
        if (plan_.sequence)
          save_state(h, d,
                     call.output<T>(0) + (plan_.in_time_order ? time_of(d, k) : k) * plan_.batch *
                                             plan_.hidden * plan_.directions);
      }
    }
    if (!plan_.sequence) save_state(h, d, call.output<T>(0));
    save_state(h, d, call.output<T>(1));
    if (plan_.cell == Cell::lstm) save_state(c, d, call.output<T>(2));
  }

  void load_state(const T* from, int d, float* to) const {
    for (std::int64_t row = 0; row < plan_.batch; ++row, to += plan_.units()) {
      std::fill(to + plan_.hidden, to + plan_.units(), 0.0f);
      widen_all(from + (row * plan_.directions + d) * plan_.hidden, plan_.hidden, to);
    }
  }

  void save_state(const float* from, int d, T* to) const {
    for (std::int64_t row = 0; row < plan_.batch; ++row)
      narrow_all(from + row * plan_.units(), plan_.hidden, to + (row * plan_.directions + d) * plan_.hidden);
  }

  // The inputs of steps first … first + count in every block's products.
  void multiply_inputs(const KernelCall& call, int d, const RecurrentImage& image,
                       std::pair<std::int64_t, std::int64_t> steps, float* space) const {
    auto [first, count] = steps;
    std::int64_t low = std::min(time_of(d, first), time_of(d, first + count - 1)), rows = count * plan_.batch;
    const T* from = call.input<T>(0) + low * plan_.batch * plan_.width;
    const float* x = nullptr;
    if constexpr (std::is_same_v<T, float>) {
      x = from;
    } else {
      widen_all(from, rows * plan_.width, space + input_at_);
      x = space + input_at_;
    }
    constexpr std::int64_t some = 32;  // rows a task
    std::int64_t row_tasks = (rows + some - 1) / some, work = some * plan_.width * plan_.gates * lanes;
    call.pool.ranges(plan_.blocks * row_tasks, 1 + 65536 / std::max<std::int64_t>(work, 1),
                     [&](std::int64_t begin, std::int64_t end) {
                       for (std::int64_t task = begin; task < end; ++task) {
                         std::int64_t block = task / row_tasks, row = task % row_tasks * some,
                                      n = std::min(some, rows - row);
                         float* to = space + products_at_ + (block * rows + row) * plan_.gates * lanes;
                         const float* inputs = x + row * plan_.width;
                         const float* w = image.w + block * plan_.width * plan_.gates * lanes;
                         const float* bias = image.rest + plan_.bias_at() + block * plan_.gates * lanes;
                         if (plan_.gates == 4) input_products<4>({w, bias, inputs, plan_.width, to}, n);
                         else if (plan_.gates == 3) input_products<3>({w, bias, inputs, plan_.width, to}, n);
                         else input_products<1>({w, bias, inputs, plan_.width, to}, n);
                       }
                     });
  }

  template <class Part> void all_blocks(const ThreadPool& pool, const StepState& s) const {
    std::int64_t work = plan_.hidden * plan_.gates * lanes * plan_.batch;
    pool.ranges(plan_.blocks, 1 + 65536 / work,
                [&](std::int64_t first, std::int64_t last) { run_blocks<Part>(plan_, s, first, last); });
  }

  void step(const ThreadPool& pool, const StepState& s) const {
    switch (plan_.cell) {
      case Cell::lstm: return all_blocks<LstmStep>(pool, s);
      case Cell::rnn: return all_blocks<RnnStep>(pool, s);
      case Cell::gru: all_blocks<GruGates>(pool, s); return all_blocks<GruState>(pool, s);
    }
  }

  RecurrentPlan plan_;
  bool constant_ = false;
  std::vector<StoragePtr> images_ = {};
  RecurrentImage known_[2] = {};  // of constant weights
  std::int64_t products_at_ = 0, input_at_ = 0, images_at_ = 0;
};

std::unique_ptr<Kernel> make(const KernelRequest& request) {
  if (!request.post.empty()) return nullptr;
  std::optional<RecurrentPlan> plan = recurrent_plan(request, lanes);
  if (!plan) return nullptr;
  if (request.in[0].dtype == DType::f32) return std::make_unique<Recurrent<float>>(*plan, request);
  if (request.in[0].dtype == DType::f16) return std::make_unique<Recurrent<Half>>(*plan, request);
  return nullptr;
}

constexpr KernelRow rows[] = {{&ops::lstm, "lstm", make}, {&ops::gru, "gru", make}, {&ops::rnn, "rnn", make}};

}  // namespace
}  // namespace tl::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
TL_EXPORT_KERNELS(recurrent)
