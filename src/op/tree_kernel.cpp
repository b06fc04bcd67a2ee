// SPDX-License-Identifier: Apache-2.0
// The CPU kernel of tree_ensemble. Trees are laid out anew, children side by side, so that a step is one
// comparison and one addition without a branch; eight rows walk a tree together, and a tree stays in the
// first cache while a block of rows passes through it.
#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "op/kernels.h"
#include "op/ops.h"
#include "op/tree.h"

namespace tl {
namespace {

constexpr int lanes = 8;
constexpr std::int64_t block_elements = 32768, most_rows = 2048;

// ---- the trees as they are walked

// Where x > threshold the node after `child` follows, else `child`; a leaf follows itself.
struct Short {
  float threshold;
  std::uint16_t feature, child;
};

struct Long {  // any comparison, any size
  double threshold;
  std::int32_t feature, child;
  bool equal;       // x != threshold decides, not x > threshold
  bool nan_second;  // NaN goes to the second child
};

struct Tree {
  std::size_t first = 0;  // of its nodes
  int depth = 0;
};

// What the inputs of an operation say, checked: a forest of trees within bounds.
struct Source {
  std::vector<std::int64_t> root, feature, behavior, when_true, when_false, missing_true, first, index;
  std::vector<double> threshold, value, base;
  std::int64_t nodes() const { return static_cast<std::int64_t>(feature.size()); }
};

bool within(std::span<const std::int64_t> numbers, std::int64_t end) {
  return std::all_of(numbers.begin(), numbers.end(), [&](std::int64_t n) { return n >= 0 && n < end; });
}

bool is_sound(const Source& s, std::int64_t features) {
  std::size_t n = s.feature.size();
  bool lengths = s.behavior.size() == n && s.when_true.size() == n && s.when_false.size() == n &&
                 s.missing_true.size() == n && s.threshold.size() == n && s.first.size() == n + 1 &&
                 s.index.size() == s.value.size() && n < std::numeric_limits<std::int32_t>::max();
  return lengths && within(s.root, s.nodes()) && within(s.feature, features) && within(s.behavior, 7) &&
         within(s.when_true, s.nodes()) && within(s.when_false, s.nodes()) &&
         within(s.first, static_cast<std::int64_t>(s.value.size()) + 1) &&
         within(s.index, static_cast<std::int64_t>(s.base.size()));
}

std::optional<Source> source_of(const KernelRequest& request) {
  for (std::size_t i = 1; i < 12; ++i)
    if (!request.constant(i)) return std::nullopt;
  auto whole = [&](trees::Input i) { return to_integers(*request.constant(i)); };
  auto real = [&](trees::Input i) { return to_doubles(*request.constant(i)); };
  Source s{whole(trees::root),      whole(trees::feature),    whole(trees::behavior),
           whole(trees::when_true), whole(trees::when_false), whole(trees::missing_true),
           whole(trees::first),     whole(trees::index),      real(trees::threshold),
           real(trees::value),      real(trees::base)};
  return is_sound(s, request.in[trees::x].shape[1]) ? std::optional(std::move(s)) : std::nullopt;
}

// Nodes in the order they are laid out, breadth first, children side by side; gives up on what is no tree.
struct Layout {
  std::vector<Tree> trees;
  std::vector<std::int64_t> from;   // of each node: which of the source it is
  std::vector<std::int64_t> child;  // of each node: its first child, within its tree; of a leaf: itself
  std::size_t largest = 0;          // nodes of a tree
};

// Of `x < t` and its like as `x > t`: the threshold that decides alike, and whether true is the second child.
struct Decision {
  double threshold = 0;
  bool equal = false, true_second = false;
};

Decision decision_of(int behavior, double t) {
  double below = std::nextafter(t, -std::numeric_limits<double>::infinity());
  switch (behavior) {
    case trees::at_most: return {t, false, false};
    case trees::above: return {t, false, true};
    case trees::below: return {below, false, false};
    case trees::at_least: return {below, false, true};
    case trees::equal: return {t, true, false};
    default: return {t, true, true};
  }
}

bool is_ordinary(int behavior, double t) {
  bool nudged = behavior == trees::below || behavior == trees::at_least;
  return t == t && !(nudged && std::isinf(t));
}

std::optional<Layout> layout_of(const Source& s) {
  Layout out;
  std::vector<bool> seen(s.feature.size(), false);
  for (std::int64_t root : s.root) {
    Tree tree{out.from.size(), 0};
    out.from.push_back(root);
    std::vector<int> depth{0};
    for (std::size_t i = tree.first; i < out.from.size(); ++i) {
      auto node = static_cast<std::size_t>(out.from[i]);
      int level = depth[i - tree.first];
      tree.depth = std::max(tree.depth, level);
      if (seen[node]) return std::nullopt;
      seen[node] = true;
      if (s.behavior[node] == trees::leaf) {
        out.child.push_back(static_cast<std::int64_t>(i - tree.first));
        continue;
      }
      out.child.push_back(static_cast<std::int64_t>(out.from.size() - tree.first));
      if (!is_ordinary(static_cast<int>(s.behavior[node]), s.threshold[node])) return std::nullopt;
      bool swap = decision_of(static_cast<int>(s.behavior[node]), 0).true_second;
      out.from.push_back(swap ? s.when_false[node] : s.when_true[node]);
      out.from.push_back(swap ? s.when_true[node] : s.when_false[node]);
      depth.insert(depth.end(), 2, level + 1);
    }
    out.largest = std::max(out.largest, out.from.size() - tree.first);
    out.trees.push_back(tree);
  }
  return out;
}

// The largest float that is not above t: x > t and x > floor(t) agree for every float x.
float float_below(double t) {
  auto near = static_cast<float>(t);
  return static_cast<double>(near) > t ? std::nextafter(near, -std::numeric_limits<float>::infinity()) : near;
}

// ---- walking

inline bool second(const Short& node, float x) { return x > node.threshold; }
inline bool second(const Long& node, double x) {
  bool nan = x != x;
  return nan ? node.nan_second : node.equal ? x != node.threshold : x > node.threshold;
}

// The leaves of `lanes` rows that begin at x.
template <class Node, class T>
void walk(const Node* nodes, int depth, const T* x, std::int64_t features, std::uint32_t* leaf) {
  std::uint32_t a[lanes] = {};
  auto step = [&](int lane) {
    const Node& node = nodes[a[lane]];
    a[lane] = static_cast<std::uint32_t>(node.child) +
              static_cast<std::uint32_t>(second(node, x[lane * features + node.feature]));
  };
  for (int level = 0; level < depth; ++level) {
    step(0), step(1), step(2), step(3), step(4), step(5), step(6), step(7);
    if (level % 8 != 7) continue;
    bool done = true;
    for (std::uint32_t i : a) done = done && static_cast<std::uint32_t>(nodes[i].child) == i;
    if (done) break;
  }
  std::copy(a, a + lanes, leaf);
}

template <class Node, class T> std::uint32_t walk_one(const Node* nodes, const T* x) {
  std::uint32_t at = 0;
  for (;;) {
    const Node& node = nodes[at];
    if (static_cast<std::uint32_t>(node.child) == at) return at;
    at = static_cast<std::uint32_t>(node.child) + static_cast<std::uint32_t>(second(node, x[node.feature]));
  }
}

template <class T> class Trees final : public Kernel {
 public:
  Trees(const KernelRequest& request, const Source& source, Layout layout)
      : trees_(std::move(layout.trees)),
        base_(source.base),
        index_(source.index),
        value_(source.value),
        rows_(request.in[trees::x].shape[0]),
        features_(request.in[trees::x].shape[1]) {
    fits_short_ = layout.largest < 65536 && features_ <= 65536;
    for (std::size_t i = 0; i < layout.from.size(); ++i) add_node(source, layout, i);
    if (!fits_short_) short_.clear();
    block_ = std::clamp(block_elements / std::max<std::int64_t>(1, features_) / lanes * lanes,
                        std::int64_t{lanes}, most_rows);
    block_ = std::min(block_, (rows_ + lanes - 1) / lanes * lanes);
    parts_ = std::clamp<std::int64_t>((rows_ + block_ - 1) / std::max<std::int64_t>(1, block_), 1,
                                      request.machine.pool->threads());
    part_bytes_ = static_cast<std::size_t>(block_ * features_) * (sizeof(float) + sizeof(double));
    part_bytes_ = (part_bytes_ + 63) / 64 * 64;
    scratch = part_bytes_ * static_cast<std::size_t>(parts_);
  }

  void run(const KernelCall& call) const noexcept override {
    std::int64_t blocks = (rows_ + block_ - 1) / std::max<std::int64_t>(1, block_);
    call.pool.each(parts_, [&](std::int64_t part) {
      std::byte* room = call.scratch + static_cast<std::size_t>(part) * part_bytes_;
      for (std::int64_t b = part; b < blocks; b += parts_) {
        std::int64_t from = b * block_, n = std::min(block_, rows_ - from);
        run_block(call.input<T>(trees::x) + from * features_, n,
                  call.output<double>(0) + from * static_cast<std::int64_t>(base_.size()), room);
      }
    });
  }

 private:
  void add_node(const Source& s, const Layout& layout, std::size_t i) {
    auto node = static_cast<std::size_t>(layout.from[i]);
    auto child = static_cast<std::int32_t>(layout.child[i]);
    bool is_leaf = s.behavior[node] == trees::leaf;
    Decision d = is_leaf ? Decision{std::numeric_limits<double>::infinity()}
                         : decision_of(static_cast<int>(s.behavior[node]), s.threshold[node]);
    bool nan_second = !is_leaf && (s.missing_true[node] != 0) == d.true_second;
    auto feature = static_cast<std::int32_t>(is_leaf ? 0 : s.feature[node]);
    long_.push_back({d.threshold, feature, child, d.equal, nan_second});
    fits_short_ = fits_short_ && !d.equal;
    if (fits_short_)
      short_.push_back(
          {float_below(d.threshold), static_cast<std::uint16_t>(feature), static_cast<std::uint16_t>(child)});
    std::int64_t from = is_leaf ? s.first[node] : 0, to = is_leaf ? s.first[node + 1] : 0;
    bool one = to == from + 1 && s.index[static_cast<std::size_t>(from)] == 0;
    single_ = single_ && base_.size() == 1 && (one || to <= from);
    only_.push_back(one ? s.value[static_cast<std::size_t>(from)] : 0);
    first_.push_back(from), last_.push_back(to);
  }

  // As floats where that says the same of every element and none is missing.
  bool narrow(const T* x, std::int64_t count, float* to) const {
    bool same = true;
    for (std::int64_t i = 0; i < count; ++i) {
      to[i] = static_cast<float>(x[i]);
      same &= static_cast<T>(to[i]) == x[i];
    }
    return same;
  }

  void run_block(const T* x, std::int64_t n, double* out, std::byte* room) const {
    for (std::int64_t row = 0; row < n; ++row)
      std::copy(base_.begin(), base_.end(), out + row * static_cast<std::int64_t>(base_.size()));
    auto* floats = reinterpret_cast<float*>(room);
    if (fits_short_ && narrow(x, n * features_, floats)) return run_rows(short_.data(), floats, n, out);
    auto* doubles = reinterpret_cast<double*>(room);
    std::copy(x, x + n * features_, doubles);
    run_rows(long_.data(), doubles, n, out);
  }

  template <class Node, class X>
  void run_rows(const Node* nodes, const X* x, std::int64_t n, double* out) const {
    std::int64_t whole = n / lanes * lanes;
    for (const Tree& tree : trees_) {
      std::uint32_t leaf[lanes];
      for (std::int64_t row = 0; row < whole; row += lanes) {
        walk(nodes + tree.first, tree.depth, x + row * features_, features_, leaf);
        for (int lane = 0; lane < lanes; ++lane) add(tree.first + leaf[lane], row + lane, out);
      }
      for (std::int64_t row = whole; row < n; ++row)
        add(tree.first + walk_one(nodes + tree.first, x + row * features_), row, out);
    }
  }

  void add(std::size_t leaf, std::int64_t row, double* out) const {
    if (single_) return void(out[row] += only_[leaf]);
    double* to = out + row * static_cast<std::int64_t>(base_.size());
    for (std::int64_t e = first_[leaf]; e < last_[leaf]; ++e)
      to[index_[static_cast<std::size_t>(e)]] += value_[static_cast<std::size_t>(e)];
  }

  std::vector<Tree> trees_;
  std::vector<Short> short_ = {};
  std::vector<Long> long_ = {};
  std::vector<double> only_ = {};  // of each node that is a leaf with one entry: its value
  std::vector<std::int64_t> first_ = {}, last_ = {};
  std::vector<double> base_;
  std::vector<std::int64_t> index_;
  std::vector<double> value_;
  std::int64_t rows_, features_, block_ = lanes, parts_ = 1;
  std::size_t part_bytes_ = 0;
  bool fits_short_ = true, single_ = true;
};

std::unique_ptr<Kernel> make_trees(const KernelRequest& request) {
  if (!request.post.empty() || request.out[0].dtype != DType::f64) return nullptr;
  std::optional<Source> source = source_of(request);
  std::optional<Layout> layout = source ? layout_of(*source) : std::nullopt;
  if (!layout) return nullptr;
  switch (request.in[trees::x].dtype) {
    case DType::f32: return std::make_unique<Trees<float>>(request, *source, std::move(*layout));
    case DType::f64: return std::make_unique<Trees<double>>(request, *source, std::move(*layout));
    default: return nullptr;
  }
}

constexpr KernelRow rows[] = {{&ops::tree_ensemble, "trees", make_trees}};

}  // namespace

namespace kernels {
KernelTable tree(Isa) { return rows; }
}  // namespace kernels

}  // namespace tl
