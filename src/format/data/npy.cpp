// SPDX-License-Identifier: Apache-2.0
// .npy and .npz.
#include "format/data/npy.h"

#include <algorithm>
#include <cstring>

#include "base/file.h"
#include "base/text.h"
#include "format/data/zip.h"
#include "ir/attr.h"

namespace tl::data {
namespace {

constexpr std::string_view magic = "\x93NUMPY";
constexpr std::size_t most_header = 1 << 20;

struct Code1 {
  DType dtype;
  char kind;
  int bytes;
};
constexpr Code1 codes[] = {
    {DType::boolean, 'b', 1}, {DType::i8, 'i', 1},  {DType::i16, 'i', 2}, {DType::i32, 'i', 4},
    {DType::i64, 'i', 8},     {DType::u8, 'u', 1},  {DType::u16, 'u', 2}, {DType::u32, 'u', 4},
    {DType::u64, 'u', 8},     {DType::f16, 'f', 2}, {DType::f32, 'f', 4}, {DType::f64, 'f', 8},
};

struct Header {
  std::string descr = {};
  bool fortran = false;
  Shape shape = {};
};

[[noreturn]] void fail(std::string what) { throw Error(Code::bad_input, what); }

// The text after 'key': in the header's dictionary.
std::string_view entry(std::string_view dictionary, std::string_view key) {
  std::size_t at = dictionary.find(text("'{}'", key));
  if (at == std::string_view::npos) fail(text("its header has no '{}'", key));
  at = dictionary.find(':', at);
  if (at == std::string_view::npos) fail("its header is damaged");
  std::string_view rest = dictionary.substr(at + 1);
  while (!rest.empty() && rest[0] == ' ') rest.remove_prefix(1);
  return rest;
}

Header parse_header(std::string_view dictionary) {
  Header header;
  std::string_view descr = entry(dictionary, "descr");
  if (!descr.starts_with('\'') || descr.find('\'', 1) == std::string_view::npos)
    fail("holds records, not numbers");
  header.descr = descr.substr(1, descr.find('\'', 1) - 1);
  header.fortran = entry(dictionary, "fortran_order").starts_with("True");
  std::string_view shape = entry(dictionary, "shape");
  if (!shape.starts_with('(') || shape.find(')') == std::string_view::npos) fail("its header is damaged");
  for (std::string_view item : split(shape.substr(1, shape.find(')') - 1), ',')) {
    while (!item.empty() && item[0] == ' ') item.remove_prefix(1);
    if (item.empty()) continue;
    Dim d = std::get<std::int64_t>(parse_attr(AttrKind::integer, item));
    if (d < 0) fail("its header has a negative dimension");
    header.shape.push_back(d);
  }
  if (header.shape.size() > 64) fail("has more than 64 dimensions");
  return header;
}

void swap_bytes(std::byte* data, std::size_t count, std::size_t width) {
  for (std::size_t i = 0; i < count; ++i) std::reverse(data + i * width, data + (i + 1) * width);
}

// Fortran order to C order.
Tensor reordered(const Tensor& t, const Shape& shape) {
  Tensor out(t.dtype(), shape);
  std::byte* to = out.writable_data();
  std::size_t width = bytes_of(t.dtype(), 1), rank = shape.size();
  std::vector<Dim> at(rank, 0);
  for (std::int64_t i = 0; i < t.size(); ++i) {
    std::int64_t from = 0;
    for (std::size_t d = rank; d-- > 0;) from = from * shape[d] + at[d];
    std::memcpy(to + static_cast<std::size_t>(i) * width, t.data() + static_cast<std::size_t>(from) * width,
                width);
    for (std::size_t d = rank; d-- > 0;) {
      if (++at[d] < shape[d]) break;
      at[d] = 0;
    }
  }
  return out;
}

std::string utf8(std::uint32_t c) {
  std::string s;
  if (c < 0x80) s += static_cast<char>(c);
  else if (c < 0x800) s += static_cast<char>(0xc0 | c >> 6), s += static_cast<char>(0x80 | (c & 0x3f));
  else if (c < 0x10000)
    s += static_cast<char>(0xe0 | c >> 12), s += static_cast<char>(0x80 | (c >> 6 & 0x3f)),
        s += static_cast<char>(0x80 | (c & 0x3f));
  else
    s += static_cast<char>(0xf0 | (c >> 18 & 7)), s += static_cast<char>(0x80 | (c >> 12 & 0x3f)),
        s += static_cast<char>(0x80 | (c >> 6 & 0x3f)), s += static_cast<char>(0x80 | (c & 0x3f));
  return s;
}

std::vector<std::uint32_t> code_points(std::string_view s) {
  std::vector<std::uint32_t> all;
  for (std::size_t i = 0; i < s.size();) {
    auto byte = [&](std::size_t k) {
      return static_cast<std::uint32_t>(static_cast<unsigned char>(i + k < s.size() ? s[i + k] : 0));
    };
    std::uint32_t c = byte(0);
    std::size_t n = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
    if (n > 1) c &= 0x7fu >> n;
    for (std::size_t k = 1; k < n; ++k) c = c << 6 | (byte(k) & 0x3f);
    all.push_back(c);
    i += n;
  }
  return all;
}

Tensor parse_strings(const Header& header, Reader& reader, std::size_t width) {
  std::int64_t n = volume(header.shape);
  bool wide = header.descr[1] == 'U';
  std::size_t bytes = width * (wide ? 4 : 1);
  if (bytes != 0 && static_cast<std::uint64_t>(n) > reader.left() / bytes) fail("ends early");
  if (bytes == 0 && n > 1 << 20) fail("has too many empty strings");
  std::vector<std::string> strings(static_cast<std::size_t>(n));
  for (std::string& s : strings) {
    Reader one(reader.take(bytes));
    while (!one.done()) {
      std::uint32_t c = wide ? one.u32() : one.value<std::uint8_t>();
      if (c == 0) break;
      s += utf8(c);
    }
  }
  return from_strings(std::move(strings), header.shape);
}

std::size_t parse_width(std::string_view digits) {
  auto n = std::get<std::int64_t>(parse_attr(AttrKind::integer, digits));
  if (n < 0 || n > 1 << 24) fail("has an element type of a wrong size");
  return static_cast<std::size_t>(n);
}

std::string header_text(std::string_view descr, const Shape& shape) {
  std::string dims;
  for (Dim d : shape) dims += text("{}, ", d);
  if (shape.size() != 1 && !dims.empty()) dims.resize(dims.size() - 2);
  if (shape.size() == 1) dims.resize(dims.size() - 1);
  std::string dictionary = text("{{'descr': '{}', 'fortran_order': False, 'shape': ({}), }}", descr, dims);
  std::size_t total = (magic.size() + 4 + dictionary.size() + 1 + 63) / 64 * 64;
  dictionary.append(total - magic.size() - 4 - dictionary.size() - 1, ' ');
  return dictionary + "\n";
}

std::vector<std::byte> with_header(std::string_view descr, const Shape& shape, Bytes data) {
  std::string dictionary = header_text(descr, shape), front(magic);
  front += '\x01';
  front += '\0';
  front += static_cast<char>(dictionary.size() & 0xff);
  front += static_cast<char>(dictionary.size() >> 8);
  front += dictionary;
  std::vector<std::byte> all(front.size() + data.size());
  std::memcpy(all.data(), front.data(), front.size());
  if (!data.empty()) std::memcpy(all.data() + front.size(), data.data(), data.size());
  return all;
}

std::vector<std::byte> format_strings(const Tensor& t) {
  std::vector<std::vector<std::uint32_t>> all;
  std::size_t longest = 1;
  for (const std::string& s : t.as<std::string>()) {
    all.push_back(code_points(s));
    longest = std::max(longest, all.back().size());
  }
  std::vector<std::uint32_t> data(all.size() * longest, 0);
  for (std::size_t i = 0; i < all.size(); ++i)
    std::copy(all[i].begin(), all[i].end(), data.begin() + static_cast<std::ptrdiff_t>(i * longest));
  return with_header(text("<U{}", longest), t.shape(), std::as_bytes(std::span(data)));
}

}  // namespace

Tensor parse_npy(Bytes content) {
  Reader reader(content);
  if (as_text(reader.take(std::min(magic.size(), reader.left()))) != magic) fail("is not a NumPy array");
  auto major = reader.value<std::uint8_t>();
  reader.skip(1);
  std::size_t length = major == 1 ? reader.value<std::uint16_t>() : reader.u32();
  if (major < 1 || major > 3 || length > most_header) fail("has a header of an unknown version");
  Header header = parse_header(as_text(reader.take(length)));
  if (header.descr.size() < 3) fail("has an unknown element type");
  std::size_t width = parse_width(std::string_view(header.descr).substr(2));
  if (header.descr[1] == 'U' || header.descr[1] == 'S') return parse_strings(header, reader, width);
  for (const Code1& code : codes) {
    if (code.kind != header.descr[1] || static_cast<std::size_t>(code.bytes) != width) continue;
    Bytes data = reader.take(bytes_of(code.dtype, volume(header.shape)));
    Tensor t(code.dtype, header.shape);
    std::byte* to = t.writable_data();
    if (!data.empty()) std::memcpy(to, data.data(), data.size());
    if (header.descr[0] == '>') swap_bytes(to, static_cast<std::size_t>(t.size()), width);
    if (code.dtype == DType::boolean)
      for (std::byte& b : std::span(to, data.size())) b = std::byte{b != std::byte{0}};
    return header.fortran && header.shape.size() > 1 ? reordered(t, header.shape) : t;
  }
  fail(text("has elements of type '{}', which is not supported", printable(header.descr)));
}

std::vector<std::byte> format_npy(const Tensor& given) {
  if (given.dtype() == DType::string) return format_strings(given);
  Tensor t = given.dtype() == DType::bf16 ? converted(given, DType::f32)
             : is_packed(given.dtype())   ? converted(given, DType::i8)
                                          : given;
  for (const Code1& code : codes)
    if (code.dtype == t.dtype())
      return with_header(text("{}{}{}", code.bytes == 1 ? '|' : '<', code.kind, code.bytes), t.shape(),
                         {t.data(), t.bytes()});
  fail(text("NumPy has no elements of type {}", name_of(t.dtype())));
}

Tensor read_npy(const std::string& path) {
  StoragePtr file = map_file(path);
  return with_note([&] { return path; }, [&] { return parse_npy({file->data(), file->size()}); });
}

void write_npy(const std::string& path, const Tensor& t) { write_file(path, format_npy(t)); }

NamedArrays read_npz(const std::string& path) {
  NamedArrays arrays;
  for (const Member& member : read_zip(path)) {
    std::string name =
        member.name.ends_with(".npy") ? member.name.substr(0, member.name.size() - 4) : member.name;
    arrays.emplace_back(name, with_note([&] { return path + ": " + printable(member.name); },
                                        [&] { return parse_npy(member.content); }));
  }
  return arrays;
}

void write_npz(const std::string& path, const NamedArrays& arrays) {
  write_zip(path, [&](const auto& add) {
    for (const auto& [name, tensor] : arrays) add(name + ".npy", format_npy(tensor));
  });
}

}  // namespace tl::data
