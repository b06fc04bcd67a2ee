// SPDX-License-Identifier: Apache-2.0
// Runs one strided copy: dense runs, transposes in tiles, everything else element by element. The vectors are
// of the baseline: wider ones do not transpose faster.
#include <hwy/highway.h>

#include <algorithm>
#include <cstring>

#include "op/move.h"

namespace tl {
namespace {

struct Wide {  // 16 bytes that move together
  std::uint64_t low, high;
};

// Elements need not be aligned: a view of a mapped file may begin anywhere.
template <class T> T load(const std::byte* p, std::int64_t i) {
  T x;
  std::memcpy(&x, p + i * static_cast<std::int64_t>(sizeof(T)), sizeof(T));
  return x;
}

template <class T> void store(std::byte* p, std::int64_t i, T x) {
  std::memcpy(p + i * static_cast<std::int64_t>(sizeof(T)), &x, sizeof(T));
}

template <class T> void line(const std::byte* __restrict from, std::byte* __restrict to, const Axis& a) {
  if (a.to == 1 && a.from == 1) {
    std::memcpy(to, from, static_cast<std::size_t>(a.count) * sizeof(T));
  } else if (a.to == 1 && a.from == 0) {
    T x = load<T>(from, 0);
    for (std::int64_t i = 0; i < a.count; ++i) store(to, i, x);
  } else if (a.to == 1 && a.from == -1) {
    for (std::int64_t i = 0; i < a.count; ++i) store(to, i, load<T>(from, -i));
  } else {
    for (std::int64_t i = 0; i < a.count; ++i) store(to, i * a.to, load<T>(from, i * a.from));
  }
}

// A square of elements that fills 16-byte vectors: to[i * to_stride + j] = from[i + j * from_stride]. Each
// stage of the network interleaves row k with row k + n / 2; after log2(n) of them rows are columns.
template <class T>
void tile(const std::byte* from, std::byte* to, std::int64_t from_stride, std::int64_t to_stride) {
  namespace hn = hwy::HWY_NAMESPACE;
  constexpr int n = 16 / sizeof(T);
  constexpr auto element = static_cast<std::int64_t>(sizeof(T));
  const hn::FixedTag<T, n> d;
  hn::Vec<decltype(d)> row[n], next[n];
  for (int k = 0; k < n; ++k)
    row[k] = hn::LoadU(d, reinterpret_cast<const T*>(from + k * from_stride * element));
  for (int stage = 1; stage < n; stage *= 2) {
    for (int k = 0; k < n / 2; ++k) {
      next[2 * k] = hn::InterleaveLower(d, row[k], row[k + n / 2]);
      next[2 * k + 1] = hn::InterleaveUpper(d, row[k], row[k + n / 2]);
    }
    for (int k = 0; k < n; ++k) row[k] = next[k];
  }
  for (int k = 0; k < n; ++k) hn::StoreU(row[k], d, reinterpret_cast<T*>(to + k * to_stride * element));
}

// b is so short that a tile does not fit: its k elements side by side, for each of a.
template <class T, int k>
void columns(const std::byte* __restrict from, std::byte* __restrict to, const Axis& a, std::int64_t b_from) {
  for (std::int64_t i = 0; i < a.count; ++i) {
    T x[k];
    for (int j = 0; j < k; ++j) x[j] = load<T>(from, i + j * b_from);
    for (int j = 0; j < k; ++j) store(to, i * a.to + j, x[j]);
  }
}

// The same where a is that short: each of b's groups of k to k rows.
template <class T, int k>
void rows(const std::byte* __restrict from, std::byte* __restrict to, const Axis& b, std::int64_t a_to) {
  for (std::int64_t j = 0; j < b.count; ++j) {
    T x[k];
    for (int i = 0; i < k; ++i) x[i] = load<T>(from, j * b.from + i);
    for (int i = 0; i < k; ++i) store(to, i * a_to + j, x[i]);
  }
}

// a is dense in the source, b in the destination.
template <class T> void transpose(const std::byte* from, std::byte* to, const Axis& a, const Axis& b) {
  if (b.count == 2) return columns<T, 2>(from, to, a, b.from);
  if (b.count == 3) return columns<T, 3>(from, to, a, b.from);
  if (b.count == 4) return columns<T, 4>(from, to, a, b.from);
  if (a.count == 2) return rows<T, 2>(from, to, b, a.to);
  if (a.count == 3) return rows<T, 3>(from, to, b, a.to);
  if (a.count == 4) return rows<T, 4>(from, to, b, a.to);
  constexpr int n = sizeof(T) < 16 ? 16 / sizeof(T) : 1;
  constexpr auto element = static_cast<std::int64_t>(sizeof(T));
  constexpr std::int64_t band = 64 / element;  // of each row of the destination, a cache line at a time
  std::int64_t whole_a = n > 1 ? a.count - a.count % n : 0, whole_b = n > 1 ? b.count - b.count % n : 0;
  if constexpr (n > 1)
    for (std::int64_t left = 0; left < whole_b; left += band)
      for (std::int64_t i = 0; i < whole_a; i += n)
        for (std::int64_t j = left; j < std::min(left + band, whole_b); j += n)
          tile<T>(from + (i + j * b.from) * element, to + (i * a.to + j) * element, b.from, a.to);
  for (std::int64_t i = 0; i < a.count; ++i)
    for (std::int64_t j = i < whole_a ? whole_b : 0; j < b.count; ++j)
      store(to, i * a.to + j, load<T>(from, i + j * b.from));
}

template <class T> void run(const std::byte* from, std::byte* to, const Axis* axes, int rank) {
  if (rank == 0) return store(to, 0, load<T>(from, 0));
  if (rank == 1) return line<T>(from, to, axes[0]);
  if (rank == 2 && axes[0].from == 1 && axes[1].to == 1) return transpose<T>(from, to, axes[0], axes[1]);
  constexpr auto element = static_cast<std::int64_t>(sizeof(T));
  for (std::int64_t i = 0; i < axes[0].count; ++i)
    run<T>(from + i * axes[0].from * element, to + i * axes[0].to * element, axes + 1, rank - 1);
}

// Two elements that always move together are one of twice the size.
bool double_element(Move& m) {
  if (m.rank == 0) return false;
  Axis& last = m.axes[static_cast<std::size_t>(m.rank - 1)];
  if (last.from != 1 || last.to != 1 || last.count % 2 || last.count > 16 || m.rank == 1) return false;
  for (int i = 0; i < m.rank - 1; ++i)
    if (m.axes[static_cast<std::size_t>(i)].from % 2 || m.axes[static_cast<std::size_t>(i)].to % 2)
      return false;
  for (int i = 0; i < m.rank - 1; ++i) {
    m.axes[static_cast<std::size_t>(i)].from /= 2;
    m.axes[static_cast<std::size_t>(i)].to /= 2;
  }
  last.count /= 2;
  return true;
}

}  // namespace

void run_move(const Move& move, std::size_t element, const std::byte* from, std::byte* to) {
  from += move.from * static_cast<std::int64_t>(element);
  to += move.to * static_cast<std::int64_t>(element);
  Move m = move;
  m.from = m.to = 0;
  while (element < 16 && double_element(m)) element *= 2;
  if (m.axes[static_cast<std::size_t>(m.rank > 0 ? m.rank - 1 : 0)].count == 1 && !simplify(m)) return;
  switch (element) {
    case 1: return run<std::uint8_t>(from, to, m.axes.data(), m.rank);
    case 2: return run<std::uint16_t>(from, to, m.axes.data(), m.rank);
    case 4: return run<std::uint32_t>(from, to, m.axes.data(), m.rank);
    case 8: return run<std::uint64_t>(from, to, m.axes.data(), m.rank);
    default: return run<Wide>(from, to, m.axes.data(), m.rank);
  }
}

}  // namespace tl
