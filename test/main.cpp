// SPDX-License-Identifier: Apache-2.0
// The unit tests' main function; the tests are in *_test.cpp beside what they test, and here in test/.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>
