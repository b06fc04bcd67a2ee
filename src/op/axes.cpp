// SPDX-License-Identifier: Apache-2.0
// Axes as offsets, as runs, and in formulas over graph values.
#include "op/axes.h"

#include <algorithm>
#include <numeric>

#include "base/error.h"
#include "base/text.h"
#include "op/ops.h"

namespace tl {

std::vector<std::int64_t> axes_of(const Attrs& attrs, std::size_t rank) {
  std::vector<std::int64_t> axes(rank);
  std::iota(axes.begin(), axes.end(), 0);
  if (!attrs.has("axes")) return axes;
  axes = attrs.integers("axes");
  for (std::int64_t& axis : axes) axis = wrap_axis(axis, rank);
  std::sort(axes.begin(), axes.end());
  if (std::adjacent_find(axes.begin(), axes.end()) != axes.end())
    throw Error(Code::bad_input, text("axes [{}] name one twice", join(attrs.integers("axes"), ", ")));
  return axes;
}

Offsets offsets(std::span<const Dim> shape, std::span<const std::int64_t> axes) {
  Offsets all{{0}, {0}};
  Shape stride = row_major(shape);
  auto extend = [&](std::vector<std::int64_t>& list, std::size_t d) {
    std::vector<std::int64_t> longer;
    longer.reserve(list.size() * static_cast<std::size_t>(shape[d]));
    for (std::int64_t at : list)
      for (Dim i = 0; i < shape[d]; ++i) longer.push_back(at + i * stride[d]);
    list = std::move(longer);
  };
  for (std::size_t d = 0; d < shape.size(); ++d)
    extend(std::find(axes.begin(), axes.end(), static_cast<std::int64_t>(d)) == axes.end() ? all.kept
                                                                                           : all.along,
           d);
  return all;
}

std::optional<Runs> runs(std::span<const Dim> shape, std::span<const std::int64_t> axes) {
  Runs r;
  int stage = 0;  // before, within, after the axes
  for (std::size_t d = 0; d < shape.size(); ++d) {
    bool along = std::find(axes.begin(), axes.end(), static_cast<std::int64_t>(d)) != axes.end();
    if (shape[d] == 1) continue;
    if (along && stage == 2) return std::nullopt;
    if (along) stage = 1;
    else if (stage == 1) stage = 2;
    (stage == 0 ? r.outer : stage == 1 ? r.length : r.inner) *= shape[d];
  }
  return r;
}

Ex restored(const Ex& y, std::span<const std::int64_t> axes) {
  if (axes.empty()) return y;
  return emit(ops::expand_dims, {y}, {{"axes", std::vector<std::int64_t>(axes.begin(), axes.end())}});
}

Ex channelwise(const Ex& vector, std::size_t rank) {
  std::vector<std::int64_t> axes;
  for (std::size_t d = 2; d < rank; ++d) axes.push_back(static_cast<std::int64_t>(d) - 1);
  return restored(vector, axes);
}

Ex ones_like(const Ex& x) {
  Ex ones = emit(ops::fill_like, {x}, {{"value", 1.0}});
  return ones.type().dtype == x.type().dtype
             ? ones
             : emit(ops::cast, {ones}, {{"dtype", std::string(name_of(x.type().dtype))}});
}

Ex reduce(const OpDef& op, const Ex& x, std::span<const std::int64_t> axes, bool keep) {
  return emit(op, {x}, {{"axes", std::vector<std::int64_t>(axes.begin(), axes.end())}, {"keep_dims", keep}});
}

}  // namespace tl
