// SPDX-License-Identifier: Apache-2.0
// Sorts the labels of an equation into rows, columns, terms and batches, and writes out their offsets.
#include "op/contraction.h"

#include <algorithm>

#include "base/text.h"
#include "op/matmul.h"

namespace tl {
namespace {

// The offsets of all combinations of the labels, the last one innermost.
Offsets table(std::span<const int> labels, std::span<const Dim> lengths, std::span<const Dim> strides) {
  Offsets all{0};
  for (int label : labels) {
    Dim length = lengths[static_cast<std::size_t>(label)], stride = strides[static_cast<std::size_t>(label)];
    Offsets next;
    next.reserve(all.size() * static_cast<std::size_t>(length));
    for (std::int64_t base : all)
      for (Dim i = 0; i < length; ++i) next.push_back(base + i * stride);
    all = std::move(next);
  }
  return all;
}

void exchange(Contraction& c) {
  std::swap(c.batch_a, c.batch_b);
  std::swap(c.am, c.bn);
  std::swap(c.cm, c.cn);
  std::swap(c.ak, c.bk);
  c.swapped = !c.swapped;
}

bool runs(const Offsets& offsets) { return is_run(offsets, 0, static_cast<std::int64_t>(offsets.size())); }

}  // namespace

bool is_run(std::span<const std::int64_t> offsets, std::int64_t from, std::int64_t count) {
  for (std::int64_t i = 1; i < count; ++i)
    if (offsets[static_cast<std::size_t>(from + i)] != offsets[static_cast<std::size_t>(from)] + i)
      return false;
  return true;
}

Contraction plan_contraction(const Equation& eq, std::span<const Dim> x, std::span<const Dim> y,
                             std::span<const Dim> out, int constant) {
  Shape a = label_strides(eq, eq.inputs[0], x), b = label_strides(eq, eq.inputs[1], y);
  Shape c = label_strides(eq, eq.output, out);
  std::vector<Dim> lengths =
      label_lengths(eq, std::vector{Shape(x.begin(), x.end()), Shape(y.begin(), y.end())});
  Labels batch, rows, columns, terms, order = eq.output;
  for (const Labels& input : eq.inputs)
    for (int label : input)
      if (std::find(order.begin(), order.end(), label) == order.end()) order.push_back(label);
  for (int label : order) {
    auto at = static_cast<std::size_t>(label);
    bool given = std::find(eq.output.begin(), eq.output.end(), label) != eq.output.end();
    if (!given) terms.push_back(label);
    else if (a[at] && b[at]) batch.push_back(label);
    else (b[at] ? columns : rows).push_back(label);
  }
  auto all = [&](const Labels& labels, const Shape& strides) { return table(labels, lengths, strides); };
  Contraction plan{all(batch, a),   all(batch, b),   all(batch, c), all(rows, a), all(rows, c),
                   all(columns, b), all(columns, c), all(terms, a), all(terms, b)};
  bool better = plan.n() == 1 && plan.m() > 1;
  better = better || (!runs(plan.cn) && runs(plan.cm) && plan.m() > 1);
  if (constant == 0 || (constant < 0 && better)) exchange(plan);
  return plan;
}

std::string matrix_form(std::string_view kernel, const Contraction& c) {
  std::string form(kernel);
  for (const Offsets* table : {&c.batch_b, &c.bn, &c.bk}) {
    form += text(" {}:", table->size());
    form.append(reinterpret_cast<const char*>(table->data()), table->size() * sizeof((*table)[0]));
  }
  return form;
}

}  // namespace tl
