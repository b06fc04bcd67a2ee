// SPDX-License-Identifier: Apache-2.0
// Names that people write for operations of the op table.
#include "base/text.h"
#include "lang/interpreter.h"

namespace tl::lang {

namespace {

Given forwarded(Args& args) {
  Given given;
  given.place = args.place;
  given.positional = std::move(args.rest);
  for (auto& [name, value] : args.named) given.named.emplace_back(name, value);
  return given;
}

Value conv2d(Args& args) { return args.interpreter.call(function_value(find_op("conv")), forwarded(args)); }

// Every channel has filters of its own: as many groups as x has channels.
Value depthwise_conv(Args& args) {
  if (args.rest.empty() || !args.rest[0].is(Kind::tensor) || args.rest[0].tensor().rank() < 3)
    throw Error(Code::bad_input, "'depthwise_conv' needs x of rank 3 or more: [batch, channels, …]");
  std::int64_t channels = args.rest[0].tensor().shape()[1];
  for (const auto& [name, value] : args.named)
    if (name == "groups")
      throw Error(Code::bad_input, "'depthwise_conv' has as many groups as x has channels");
  args.named.emplace_back("groups", Value(channels));
  return args.interpreter.call(function_value(find_op("conv")), forwarded(args));
}

Value div(Args& args) { return args.interpreter.arithmetic(Tok::slash, args[0], args[1]); }

Value einsum(Args& args) {
  Given given;
  given.place = args.place;
  if (args.has(2)) args.rest = args.list(2);
  if (args.rest.empty())
    throw Error(Code::bad_input, "'einsum' needs tensors after the equation: einsum(\"ij,jk->ik\", a, b)");
  given.positional = {Value(args.rest)};
  given.named.emplace_back("equation", Value(args.string(0)));
  return args.interpreter.call(function_value(find_op("einsum")), std::move(given));
}

// x / sqrt(mean(x²) + epsilon) · gamma, in float32 whatever the type of x.
Value rms_norm(Args& args) {
  Tensor x = args.tensor(0);
  Interpreter& in = args.interpreter;
  DType dtype = is_float(x.dtype()) ? x.dtype() : DType::f16;
  Value wide(converted(x, DType::f32));
  Value square = in.arithmetic(Tok::star, wide, wide);
  Value axes = args.has(2) ? args[2] : Value(-1);
  Value mean = in.call(function_value(*find_builtin("mean")), {{square, axes, Value(true)}, {}, args.place});
  Value root =
      in.arithmetic(Tok::power, in.arithmetic(Tok::plus, mean, Value(args.number_or(3, 1e-5))), Value(0.5));
  Value result = in.arithmetic(Tok::slash, wide, root);
  if (args.has(1)) result = in.arithmetic(Tok::star, result, Value(converted(args.tensor(1), DType::f32)));
  return Value(converted(result.tensor(), dtype));
}

constexpr Builtin table[] = {
    {"conv2d", "*inputs, **attributes",
     "Convolution: conv2d(x, weight, bias, strides: [1, 1], pad_type: \"same\"); see help(conv).", conv2d},
    {"depthwise_conv", "*inputs, **attributes",
     "Convolution with as many groups as channels; see help(conv).", depthwise_conv},
    {"div", "x, y", "The quotient; of integers a floating one.", div},
    {"einsum", "equation, *operands, values?",
     "Products summed over the indices that the result lacks: einsum(\"ij,jk->ik\", a, b).", einsum},
    {"rms_norm", "x, gamma?, axes?, epsilon?",
     "x divided by the root of the mean of its squares along the last axis, times gamma.", rms_norm},
};

}  // namespace

std::span<const Builtin> alias_builtins() { return table; }

}  // namespace tl::lang
