// The one header by which tests get Catch2, in one spelling for its versions 2.13 and 3.
// Macros as in version 3; Approx and the matchers live in dygrad::testing.
#pragma once

#include <algorithm>
#include <exception>
#include <string>
#include <string_view>
#include <vector>

#if __has_include(<catch2/catch_test_macros.hpp>)

#include <catch2/catch_approx.hpp>
#include <catch2/catch_message.hpp>
#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/catch_tostring.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_adapters.hpp>
#include <catch2/generators/catch_generators_range.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_floating_point.hpp>
#include <catch2/matchers/catch_matchers_predicate.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <catch2/matchers/catch_matchers_vector.hpp>

namespace dygrad::testing {
using Catch::Approx;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::MatcherBase;
}  // namespace dygrad::testing

#else

#include <catch2/catch.hpp>

namespace dygrad::testing {
using Catch::Detail::Approx;
using Catch::Matchers::Impl::MatcherBase;

inline auto ContainsSubstring(const std::string& part,
                              Catch::CaseSensitive::Choice sensitivity = Catch::CaseSensitive::Yes) {
  return Catch::Matchers::Contains(part, sensitivity);
}
}  // namespace dygrad::testing

#endif

namespace dygrad::testing {
using Catch::Generators::range;
using Catch::Generators::values;
using Catch::Matchers::EndsWith;
using Catch::Matchers::Equals;
using Catch::Matchers::Predicate;
using Catch::Matchers::StartsWith;
using Catch::Matchers::WithinAbs;
using Catch::Matchers::WithinRel;
using Catch::Matchers::WithinULP;

/// An exception whose text contains every one of the given words:
///   CHECK_THROWS_MATCHES(matmul(a, b), ShapeError, MessageContains("matmul", "expected", "got 3"));
class MessageContains : public MatcherBase<std::exception> {
 public:
  template <class... Words>
  explicit MessageContains(const Words&... words) : words_{std::string(words)...} {}

  bool match(const std::exception& error) const override {
    const std::string_view text = error.what();
    return std::all_of(words_.begin(), words_.end(),
                       [&](const std::string& word) { return text.find(word) != std::string_view::npos; });
  }

 protected:
  std::string describe() const override {
    std::string text = "says";
    for (const std::string& word : words_) text += " \"" + word + "\"";
    return text;
  }

 private:
  std::vector<std::string> words_;
};
}  // namespace dygrad::testing
