// SPDX-License-Identifier: Apache-2.0
// A plan whose shapes are all known: a list of steps over one arena. Running it allocates nothing, but for
// steps without a kernel and for strings and dictionaries at the end.
#include <algorithm>
#include <cstring>
#include <map>

#include "base/error.h"
#include "base/text.h"
#include "op/ops.h"
#include "op/reference.h"
#include "plan/executor.h"
#include "plan/fuse.h"
#include "plan/memory.h"
#include "plan/node.h"
#include "plan/view.h"
#include "plan/weights.h"

namespace tl::plan {
namespace {

struct Location {
  enum class Kind : std::uint8_t { none, constant, input, arena, whole };
  Kind kind = Kind::none;
  std::size_t at = 0;  // input: which; arena: which lifetime; whole: which RunValue of the run
};

struct Step {
  enum class Kind : std::uint8_t { kernel, reference, evaluate, read_state, write_state, view };
  Kind kind = Kind::kernel;
  Fused what = {};
  Compute compute;
  std::size_t first_in = 0, first_out = 0;  // in an arena's tables of pointers
  std::uint64_t random = 0;                 // how many random steps come before: each has a seed of its own
};

// What one run needs of its own.
struct Arena {
  StoragePtr memory = {};
  std::byte* scratch = nullptr;
  std::vector<const std::byte*> in = {};
  std::vector<std::byte*> out = {};
  std::vector<RunValue> whole = {};
};

class StaticPlan final : public Plan {
 public:
  StaticPlan(Graph graph, const Machine& machine, const Options& options)
      : graph_(std::move(graph)),
        machine_(machine),
        weights_(graph_, machine, options.release_weights),
        views_(graph_, machine_) {
    locations_.resize(graph_.value_count());
    make_steps(options.fuse);
    for (ValueId v : graph_.body.outputs) weights_.keep(v);
    locate();
    number_operands();
  }

  void run(std::span<const RunValue> inputs, std::vector<RunValue>& outputs,
           const RunOptions& options) const override {
    std::unique_ptr<Arena> arena = shelf_.take([&] { return make_arena(); });
    for (const Patch& patch : patches_)
      if (const auto* tensor = std::get_if<Tensor>(&inputs[patch.input]))
        arena->in[patch.slot] = tensor->data();
    if (options.profile) start_profile(*options.profile);
    for (std::size_t k = 0; k < steps_.size(); ++k) {
      if (options.stop) check_stop(options);
      Stopwatch watch(options.profile, k);
      run_step(steps_[k], *arena, inputs, options.seed + steps_[k].random);
    }
    outputs.resize(graph_.body.outputs.size());
    for (std::size_t i = 0; i < outputs.size(); ++i) give(graph_.body.outputs[i], *arena, inputs, outputs[i]);
    shelf_.give(std::move(arena));
  }

  std::size_t arena_bytes() const override { return arena_bytes_ + scratch_bytes_; }
  std::string describe() const override;

 private:
  struct Patch {
    std::size_t slot, input;
  };

  const Type& type(ValueId v) const { return graph_.type(v); }

  // Reads inputs where they come from if there is a kernel that can, and says so in `what`.
  Compute compute_of(Fused& what) {
    Fused viewed = looked_up(what);
    if (!viewed.views.empty()) {
      Compute compute = compute_as(viewed);
      if (compute.kernel()) what = std::move(viewed);
      if (compute.kernel() || what.moved) return compute;
    }
    return compute_as(what);
  }

  Fused looked_up(const Fused& what) const {
    Fused viewed = what;
    for (std::size_t i = 0; i < what.node->inputs.size(); ++i) {
      const Views::Source* source = views_.of(what.inputs[i]);
      if (!source || source->view.is_dense()) continue;
      if (viewed.views.empty()) viewed.views.resize(what.inputs.size() + 1), viewed.stands_for = what.inputs;
      viewed.inputs[i] = source->root;
      viewed.views[i] = source->view;
    }
    return viewed;
  }

  Compute compute_as(const Fused& what) {
    std::vector<Type> in, out;
    std::unique_ptr<bool[]> given(new bool[what.inputs.size() + 1]());
    for (std::size_t i = 0; i < what.inputs.size(); ++i) {
      given[i] = what.inputs[i] != no_value;
      in.push_back(given[i] ? type(what.views.empty() ? what.inputs[i] : what.stands_for[i]) : Type());
    }
    const Node& result = what.post.empty() ? *what.node : *what.post.back();
    for (ValueId v : result.outputs) out.push_back(type(v));
    std::vector<const View*> views;
    for (const std::optional<View>& view : what.views) views.push_back(view ? &*view : nullptr);
    std::span<const bool> there(given.get(), what.inputs.size());
    const Node& node = *what.node;
    KernelRequest request{*node.op, node.attrs, in, there, {}, out, machine_, what.ops};
    request.views = views;
    if (std::optional<Compute> compute = compute_compressed(what, request)) return std::move(*compute);
    std::vector<Tensor> known;
    std::vector<const Tensor*> constants;
    for (ValueId v : what.inputs) known.push_back(weights_.of(v));
    for (const Tensor& t : known) constants.push_back(t ? &t : nullptr);
    request.constants = constants;
    Compute compute(request);
    for (std::size_t i = 0; i < known.size(); ++i)
      if (known[i] && is_packed(compute, i)) weights_.release(known[i]);
    return compute;
  }

  // With a kernel that packs compressed weights as they are; nothing where there are none, or no such kernel.
  std::optional<Compute> compute_compressed(const Fused& what, KernelRequest request) {
    std::vector<std::optional<Compressed>> weights;
    std::vector<Tensor> known;
    for (ValueId v : what.inputs) {
      weights.push_back(weights_.compressed(v));
      known.push_back(weights.back() ? Tensor() : weights_.of(v));
    }
    std::vector<const Compressed*> compressed;
    std::vector<const Tensor*> constants;
    for (const auto& w : weights) compressed.push_back(w ? &*w : nullptr);
    for (const Tensor& t : known) constants.push_back(t ? &t : nullptr);
    if (std::none_of(weights.begin(), weights.end(), [](const auto& w) { return w.has_value(); }))
      return std::nullopt;
    request.constants = constants;
    request.compressed = compressed;
    std::optional<Compute> compute(std::in_place, request);
    for (std::size_t i = 0; i < weights.size(); ++i)
      if (weights[i] && !is_packed(*compute, i)) return std::nullopt;
    for (std::size_t i = 0; i < weights.size(); ++i) {
      if (weights[i]) weights_.release(*weights[i]);
      if (known[i] && is_packed(*compute, i)) weights_.release(known[i]);
    }
    return compute;
  }

  static bool is_packed(const Compute& compute, std::size_t input) {
    const Kernel* kernel = compute.kernel();
    return kernel && input < kernel->packed.size() && kernel->packed[input];
  }

  Step::Kind kind_of(const Fused& what, const Compute& compute) const {
    const OpDef* op = what.node->op;
    bool view = has(op->traits, Traits::view) && what.post.empty() && what.inputs.front() != no_value;
    if (view && !graph_.value(what.inputs.front()).is_constant()) return Step::Kind::view;
    if (what.post.empty() && !what.moved && views_.is_dense(*what.node)) return Step::Kind::view;
    if (op == &ops::read_state) return Step::Kind::read_state;
    if (op == &ops::write_state) return Step::Kind::write_state;
    if (op->evaluate) return Step::Kind::evaluate;
    return compute.kernel() ? Step::Kind::kernel : Step::Kind::reference;
  }

  void make_steps(bool with_fusion) {
    std::uint64_t random_steps = 0;
    std::map<const Node*, std::pair<Fused, Compute>> fused;  // made while asking whether they fit
    auto fits = [&](const Fused& asked) {
      if (weights_.is_waiting(*asked.node)) return false;
      Fused what = asked;
      Compute compute = compute_of(what);
      if (!compute.kernel()) return false;
      fused.erase(asked.node);
      fused.emplace(asked.node, std::pair(std::move(what), std::move(compute)));
      return true;
    };
    for (Fused& what : fuse(
             graph_, views_,
             with_fusion ? std::function<bool(const Fused&)>(fits) : [](const Fused&) { return false; })) {
      if (weights_.is_waiting(*what.node)) continue;
      auto found = fused.find(what.node);
      if (found != fused.end()) what = std::move(found->second.first);
      Compute compute = found == fused.end() ? compute_of(what) : std::move(found->second.second);
      Step::Kind kind = kind_of(what, compute);
      bool draws = has(what.node->op->traits, Traits::random);
      for (std::size_t i = 0; i < what.inputs.size(); ++i)
        if (!is_packed(compute, i)) weights_.keep(what.inputs[i]);
      steps_.push_back({kind, std::move(what), std::move(compute), 0, 0, random_steps});
      random_steps += draws;
    }
    drop_unread();
  }

  // What only the steps would have read that now look further back.
  void drop_unread() {
    std::vector<bool> read(graph_.value_count(), false);
    for (ValueId v : graph_.body.outputs) read[index(v)] = true;
    auto unread = [&](const Step& step) {
      bool drops = (step.kind == Step::Kind::kernel || step.kind == Step::Kind::view) &&
                   std::none_of(step.what.outputs().begin(), step.what.outputs().end(),
                                [&](ValueId v) { return read[index(v)]; });
      if (drops) return true;
      for (ValueId v : step.what.inputs)
        if (v != no_value) read[index(v)] = true;
      return false;
    };
    std::vector<bool> drop(steps_.size(), false);
    for (std::size_t k = steps_.size(); k-- > 0;) drop[k] = unread(steps_[k]);
    std::vector<Step> kept;
    for (std::size_t k = 0; k < steps_.size(); ++k)
      if (!drop[k]) kept.push_back(std::move(steps_[k]));
    steps_ = std::move(kept);
  }

  // ---- memory

  // Values that share bytes: a view and what it views, an output written over an input.
  ValueId root(ValueId v) const {
    while (roots_[index(v)] != v) v = roots_[index(v)];
    return v;
  }

  bool in_arena(ValueId v) const { return locations_[index(v)].kind == Location::Kind::arena; }
  void locate() {
    for (std::size_t i = 0; i < graph_.value_count(); ++i) {
      roots_.push_back(ValueId(i));
      if (graph_.value(ValueId(i)).is_constant()) locations_[i].kind = Location::Kind::constant;
    }
    for (std::size_t i = 0; i < graph_.body.inputs.size(); ++i)
      locations_[index(graph_.body.inputs[i])] = {Location::Kind::input, i};
    last_use_.assign(graph_.value_count(), -1);
    join_views();
    find_last_uses();
    join_in_place();
    lay_out();
  }

  void join_views() {
    for (Step& step : steps_) {
      for (ValueId v : step.what.outputs()) {
        bool whole = step.kind == Step::Kind::evaluate;
        locations_[index(v)] = {whole ? Location::Kind::whole : Location::Kind::arena,
                                whole ? whole_count_++ : 0};
      }
      if (step.kind != Step::Kind::view) continue;
      ValueId from = step.what.inputs.front(), to = step.what.outputs().front();
      roots_[index(to)] = root(from);
      if (!in_arena(root(from))) locations_[index(to)] = locations_[index(root(from))];
    }
  }

  void find_last_uses() {
    auto use = [&](ValueId v, std::size_t at) {
      if (v != no_value)
        last_use_[index(root(v))] = std::max(last_use_[index(root(v))], static_cast<int>(at));
    };
    for (std::size_t k = 0; k < steps_.size(); ++k) {
      for (ValueId v : steps_[k].what.inputs) use(v, k);
      for (ValueId v : steps_[k].what.outputs()) use(v, k);
    }
    for (ValueId v : graph_.body.outputs) use(v, steps_.size());
  }

  void join_in_place() {
    for (std::size_t k = 0; k < steps_.size(); ++k) {
      const Step& step = steps_[k];
      if (step.kind != Step::Kind::kernel || step.compute.kernel()->in_place < 0) continue;
      ValueId over = step.what.inputs[static_cast<std::size_t>(step.compute.kernel()->in_place)],
              to = step.what.outputs().front();
      if (over == no_value || !in_arena(over) || last_use_[index(root(over))] != static_cast<int>(k))
        continue;
      if (bytes(root(over)) < bytes(to)) continue;
      bool shared = std::any_of(step.what.inputs.begin(), step.what.inputs.end(), [&](ValueId v) {
        return v != no_value && v != over && root(v) == root(over);
      });
      if (shared) continue;
      int last = last_use_[index(to)];
      ValueId keeper = root(over);
      roots_[index(to)] = keeper;
      last_use_[index(keeper)] = last;
    }
  }

  std::size_t bytes(ValueId v) const { return bytes_of(type(v).dtype, volume(type(v).shape)); }

  void lay_out() {
    std::vector<int> lifetime_of(graph_.value_count(), -1);
    for (std::size_t k = 0; k < steps_.size(); ++k)
      for (ValueId v : steps_[k].what.outputs()) {
        ValueId keeper = root(v);
        if (!in_arena(keeper) || !in_arena(v)) continue;
        if (lifetime_of[index(keeper)] < 0) {
          lifetime_of[index(keeper)] = static_cast<int>(lifetimes_.size());
          lifetimes_.push_back({bytes(keeper), static_cast<int>(k), last_use_[index(keeper)], 0});
        }
        locations_[index(v)].at = static_cast<std::size_t>(lifetime_of[index(keeper)]);
      }
    arena_bytes_ = place(lifetimes_);
    for (const Step& step : steps_)
      if (step.compute.kernel()) scratch_bytes_ = std::max(scratch_bytes_, step.compute.kernel()->scratch);
  }

  // ---- pointers

  void number_operands() {
    for (Step& step : steps_) {
      step.first_in = in_count_;
      step.first_out = out_count_;
      for (ValueId v : step.what.inputs) {
        if (v != no_value && locations_[index(v)].kind == Location::Kind::input)
          patches_.push_back({in_count_, locations_[index(v)].at});
        ++in_count_;
      }
      out_count_ += step.what.outputs().size();
    }
  }

  std::byte* place_of(ValueId v, const Arena& arena) const {
    const Location& at = locations_[index(v)];
    if (at.kind == Location::Kind::constant) return const_cast<std::byte*>(graph_.value(v).constant.data());
    return at.kind == Location::Kind::arena ? arena.memory->data() + lifetimes_[at.at].offset : nullptr;
  }

  std::unique_ptr<Arena> make_arena() const {
    auto arena = std::make_unique<Arena>();
    arena->memory = allocate(arena_bytes_ + scratch_bytes_);
    arena->scratch = arena->memory->data() + arena_bytes_;
    arena->whole.resize(whole_count_);
    for (const Step& step : steps_) {
      for (ValueId v : step.what.inputs) arena->in.push_back(v == no_value ? nullptr : place_of(v, *arena));
      for (ValueId v : step.what.outputs()) arena->out.push_back(place_of(v, *arena));
    }
    return arena;
  }

  // ---- running

  void run_step(const Step& step, Arena& arena, std::span<const RunValue> inputs, std::uint64_t seed) const {
    const std::byte* const* in = arena.in.data() + step.first_in;
    std::byte* const* out = arena.out.data() + step.first_out;
    switch (step.kind) {
      case Step::Kind::kernel: return step.compute.run({in, out, arena.scratch, *machine_.pool, seed});
      case Step::Kind::view: return;
      case Step::Kind::reference: return run_reference_step(step, in, out, seed);
      case Step::Kind::evaluate: return evaluate(step, arena, inputs);
      case Step::Kind::read_state: {
        const Tensor& state = cell(step, inputs).value;
        std::memcpy(out[0], state.data(), state.bytes());
        return;
      }
      case Step::Kind::write_state: {
        Tensor& state = cell(step, inputs).value;
        std::memcpy(state.writable_data(), in[1], state.bytes());
        return;
      }
    }
  }

  StateCell& cell(const Step& step, std::span<const RunValue> inputs) const {
    return *std::get<std::shared_ptr<StateCell>>(inputs[locations_[index(step.what.inputs[0])].at]);
  }

  std::vector<Tensor> tensors_of(const Step& step, const std::byte* const* in) const {
    std::vector<Tensor> tensors;
    for (std::size_t i = 0; i < step.what.inputs.size(); ++i)
      tensors.push_back(
          in[i] || (step.what.inputs[i] != no_value) ? borrowed(type(step.what.inputs[i]), in[i]) : Tensor());
    return tensors;
  }

  void run_reference_step(const Step& step, const std::byte* const* in, std::byte* const* out,
                          std::uint64_t seed) const {
    const Node& node = *step.what.node;
    std::vector<Tensor> tensors = tensors_of(step, in);
    std::vector<Type> types;
    for (ValueId v : node.outputs) types.push_back(type(v));
    auto context = [&] {
      return node.name.empty() ? std::string(node.op->name) : text("{} '{}'", node.op->name, node.name);
    };
    std::vector<Tensor> results =
        with_note(context, [&] { return run_reference(*node.op, node.attrs, tensors, seed, types); });
    for (std::size_t i = 0; i < results.size(); ++i)
      std::memcpy(out[i], results[i].data(), results[i].bytes());
  }

  void evaluate(const Step& step, Arena& arena, std::span<const RunValue> inputs) const {
    std::vector<Tensor> tensors = tensors_of(step, arena.in.data() + step.first_in);
    std::vector<RunValue> values(tensors.begin(), tensors.end());
    std::vector<const RunValue*> pointers;
    for (std::size_t i = 0; i < values.size(); ++i) {
      const Location& at = locations_[index(step.what.inputs[i])];
      pointers.push_back(at.kind == Location::Kind::input ? &inputs[at.at] : &values[i]);
    }
    std::vector<Type> types;
    for (ValueId v : step.what.outputs()) types.push_back(type(v));
    std::vector<RunValue> results(types.size());
    step.what.node->op->evaluate({pointers, step.what.node->attrs, types, results});
    for (std::size_t i = 0; i < results.size(); ++i)
      arena.whole[locations_[index(step.what.outputs()[i])].at] = std::move(results[i]);
  }

  void give(ValueId v, Arena& arena, std::span<const RunValue> inputs, RunValue& to) const {
    const Location& at = locations_[index(v)];
    if (at.kind == Location::Kind::whole) {
      to = std::move(arena.whole[at.at]);
      return;
    }
    const std::byte* from = place_of(v, arena);
    if (at.kind == Location::Kind::input) {
      if (!std::holds_alternative<Tensor>(inputs[at.at])) return void(to = inputs[at.at]);
      from = std::get<Tensor>(inputs[at.at]).data();
    }
    if (type(v).dtype == DType::string) return void(to = graph_.value(v).constant);
    auto* kept = std::get_if<Tensor>(&to);
    bool reusable = kept && *kept && kept->dtype() == type(v).dtype && kept->shape() == type(v).shape &&
                    kept->storage().use_count() == 1 && kept->storage()->writable();
    if (!reusable) to = Tensor(type(v).dtype, type(v).shape);
    std::memcpy(std::get<Tensor>(to).writable_data(), from, bytes(v));
  }

  void start_profile(std::vector<StepProfile>& profile) const {
    if (profile.size() == steps_.size()) return;
    profile.clear();
    for (const Step& step : steps_) {
      StepProfile row;
      const Node& last = step.what.last();
      row.op = step.what.node->op->name;
      for (const PostOp& post : step.what.ops) row.op += text("+{}", post.op->name);
      row.name = graph_.value(step.what.outputs().empty() ? step.what.inputs[0] : last.outputs[0]).name;
      row.kernel = step.kind == Step::Kind::view ? "view" : step.compute.name();
      row.flops = step.compute.kernel() ? step.compute.kernel()->flops : 0;
      for (ValueId v : step.what.inputs)
        if (v != no_value && type(v).is_concrete()) row.bytes += static_cast<double>(bytes(v));
      profile.push_back(std::move(row));
    }
  }

  Graph graph_;
  Machine machine_;
  Weights weights_;
  Views views_;
  std::vector<Step> steps_;
  std::vector<Location> locations_;
  std::vector<ValueId> roots_;
  std::vector<int> last_use_;
  std::vector<Lifetime> lifetimes_;
  std::vector<Patch> patches_;
  std::size_t arena_bytes_ = 0, scratch_bytes_ = 0, whole_count_ = 0, in_count_ = 0, out_count_ = 0;
  mutable Shelf<Arena> shelf_;
};

std::string StaticPlan::describe() const {
  std::string out =
      text("{} steps, arena {} bytes, scratch {} bytes\n", steps_.size(), arena_bytes_, scratch_bytes_);
  std::vector<StepProfile> rows;
  start_profile(rows);
  for (const StepProfile& row : rows) out += text("  {:24} {:28} {}\n", row.kernel, row.op, row.name);
  return out;
}

}  // namespace

std::shared_ptr<const Plan> make_static(Graph graph, const Machine& machine, const Options& options) {
  return std::make_shared<StaticPlan>(std::move(graph), machine, options);
}

}  // namespace tl::plan
