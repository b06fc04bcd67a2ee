// SPDX-License-Identifier: Apache-2.0
// Predictions of a batch: the first one makes the plan, then each thread predicts on its own.
#include <exception>
#include <mutex>

#include "base/error.h"
#include "base/text.h"
#include "model/model.h"

namespace tl {

std::vector<Features> Model::predict_each(std::span<const Features> rows,
                                          const PredictOptions& options) const {
  std::vector<Features> results(rows.size());
  std::vector<std::exception_ptr> errors(rows.size());
  std::mutex mutex;
  PredictOptions each = options;
  if (options.notice)
    each.notice = [&](const std::string& line) {
      std::lock_guard lock(mutex);
      options.notice(line);
    };
  auto predict_row = [&](std::size_t k) {
    with_note([&] { return text("row {}", k); }, [&] { results[k] = predict(rows[k], each); });
  };
  bool in_order = options.profile || !make_state(options.function).cells.empty();
  std::size_t first = in_order ? rows.size() : std::min<std::size_t>(rows.size(), 1);
  for (std::size_t k = 0; k < first; ++k) predict_row(k);
  runtime_.machine().pool->each(static_cast<std::int64_t>(rows.size() - first), [&](std::int64_t i) {
    std::size_t k = first + static_cast<std::size_t>(i);
    try {
      predict_row(k);
    } catch (...) { errors[k] = std::current_exception(); }
  });
  for (const std::exception_ptr& error : errors)
    if (error) std::rethrow_exception(error);
  return results;
}

}  // namespace tl
