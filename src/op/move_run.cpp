// SPDX-License-Identifier: Apache-2.0
// Runs one strided copy: dense runs, transposes in tiles, everything else element by element.
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

template <class T> void line(const std::byte* from, std::byte* to, const Axis& a) {
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

// to[i * to_stride + j] = from[i + j * from_stride] for n x n elements.
template <class T, int n>
void tile(const std::byte* from, std::byte* to, std::int64_t from_stride, std::int64_t to_stride) {
  T block[n][n];
  for (int j = 0; j < n; ++j)
    std::memcpy(block[j], from + j * from_stride * static_cast<std::int64_t>(sizeof(T)), sizeof(block[j]));
  for (int i = 0; i < n; ++i) {
    T row[n];
    for (int j = 0; j < n; ++j) row[j] = block[j][i];
    std::memcpy(to + i * to_stride * static_cast<std::int64_t>(sizeof(T)), row, sizeof(row));
  }
}

// a is dense in the source, b in the destination.
template <class T> void transpose(const std::byte* from, std::byte* to, const Axis& a, const Axis& b) {
  constexpr int n = sizeof(T) == 1 ? 16 : sizeof(T) >= 8 ? 4 : 8;
  constexpr auto element = static_cast<std::int64_t>(sizeof(T));
  std::int64_t whole_a = a.count - a.count % n, whole_b = b.count - b.count % n;
  for (std::int64_t j = 0; j < whole_b; j += n)
    for (std::int64_t i = 0; i < whole_a; i += n)
      tile<T, n>(from + (i + j * b.from) * element, to + (i * a.to + j) * element, b.from, a.to);
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
