// SPDX-License-Identifier: Apache-2.0
// Builds the JSON tree of a header. The library's own builder would keep the last of two equal names, and go
// as deep as the file says.
#include "format/safetensors/header.h"

#include "base/error.h"
#include "base/text.h"

namespace tl::safetensors {
namespace {

using Json = nlohmann::json;

constexpr std::size_t most_nested = 16;

class Builder : public nlohmann::json_sax<Json> {
 public:
  explicit Builder(std::string_view what) : what_(what) {}

  bool null() override { return add(nullptr); }
  bool boolean(bool x) override { return add(x); }
  bool number_integer(std::int64_t x) override { return add(x); }
  bool number_unsigned(std::uint64_t x) override { return add(x); }
  bool number_float(double x, const std::string&) override { return add(x); }
  bool string(std::string& x) override { return add(std::move(x)); }
  bool binary(Json::binary_t&) override { return false; }
  bool start_object(std::size_t) override { return open(Json::object()); }
  bool start_array(std::size_t) override { return open(Json::array()); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }
  bool key(std::string& name) override {
    if (open_.back()->contains(name)) fail(text("names '{}' twice", printable(name)));
    if (open_.size() == 1) header.names.push_back(name);
    key_ = std::move(name);
    return true;
  }
  bool parse_error(std::size_t at, const std::string&, const Json::exception&) override {
    fail(text("is not valid JSON, at byte {}", at));
  }

  Header header;

 private:
  [[noreturn]] void fail(const std::string& why) const {
    throw Error(Code::bad_input, text("{} {}", what_, why));
  }

  bool add(Json value) {
    place(std::move(value));
    return true;
  }
  bool open(Json empty) {
    if (open_.size() >= most_nested) fail("is nested too deep");
    open_.push_back(&place(std::move(empty)));
    return true;
  }
  bool close() {
    open_.pop_back();
    return true;
  }
  Json& place(Json value) {
    if (open_.empty()) return header.root = std::move(value);
    Json& to = *open_.back();
    if (to.is_object()) return to[key_] = std::move(value);
    to.push_back(std::move(value));
    return to.back();
  }

  std::string_view what_;
  std::vector<Json*> open_;
  std::string key_;
};

}  // namespace

Header parse_header(std::string_view source, std::string_view what) {
  Builder builder(what);
  // To the library a zero byte is where the text ends.
  if (std::size_t zero = source.find('\0'); zero != source.npos)
    throw Error(Code::bad_input, text("{} is not valid JSON, at byte {}", what, zero + 1));
  Json::sax_parse(source, &builder);
  return std::move(builder.header);
}

}  // namespace tl::safetensors
