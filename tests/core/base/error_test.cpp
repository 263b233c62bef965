#include <dygrad/core/base/error.h>

#include <dygrad/core/base/detail/message.h>
#include <dygrad/tests/support/catch.h>
#include <dygrad/tests/support/fault_injection.h>

using namespace dygrad;

TEST_CASE("messages have one shape: op and problem, facts, fix") {
  const ShapeError error(Message("matmul", "inner sizes differ.")
                             .line("a {}, b {}", Shape{2, 3}, Shape{4, 5})
                             .expected("{}", 3)
                             .got("{}", 4)
                             .fix("transpose one operand"));
  CHECK(std::string(error.what()) ==
        "matmul: inner sizes differ.\n"
        "  a [2, 3], b [4, 5]\n"
        "  expected 3, got 4\n"
        "  fix: transpose one operand");
}

TEST_CASE("every error is a dygrad::Error, and a standard one") {
  CHECK_THROWS_AS(throw ShapeError("x"), InvalidArgument);
  CHECK_THROWS_AS(throw DtypeError("x"), InvalidArgument);
  CHECK_THROWS_AS(throw IoError("x"), Error);
  CHECK_THROWS_AS(throw GraphError("x"), Error);
  CHECK_THROWS_AS(throw BackendError("x"), Error);
  CHECK_THROWS_AS(throw OutOfMemory("x"), std::runtime_error);
}

TEST_CASE("an error keeps its type and its text when it gets a context, once") {
  struct Mine : IoError {
    using IoError::IoError;
  };
  const auto thrown = [] {
    try {
      throw Mine("read: no.");
    } catch (Error& error) {
      error.add_context("in layer a");
      error.add_context("in layer a");
      const Error copy = error;
      error.add_context("in layer b");
      CHECK(std::string(copy.what()) == "read: no.\n  in layer a");
      throw;
    }
  };
  CHECK_THROWS_AS(thrown(), Mine);
  try {
    thrown();
  } catch (const std::exception& error) {
    CHECK(std::string(error.what()) == "read: no.\n  in layer a\n  in layer b");
  }
}

TEST_CASE("where there is no memory for a context, an error goes without") {
  const std::string text(200, 'x'), where(200, 'y');
  for (std::int64_t n : {1, 2}) {
    Error error(text);
    {
      const dygrad::testing::FailingAllocation failing(n);
      error.add_context(where);
      CHECK(failing.happened());
    }
    CHECK(error.what() == text);
    error.add_context(where);
    CHECK(error.what() == text + "\n  " + where);
  }
}

TEST_CASE("what was got begins a line where nothing is expected") {
  const std::string text = Message("arange", "the step leads away.").got("step {}", -1).fix("change it");
  CHECK(text == "arange: the step leads away.\n  got step -1\n  fix: change it");
}

TEST_CASE("text of users and files is printable in a message") {
  const std::string name{"a\0b\x1b[2J\nc\t\x7f", 11};
  const std::string shown = R"(a\x00b\x1b[2J\nc\t\x7f)";
  const std::string text =
      Message("op", "no " + name).line("line {}", name).expected("{}", name).got("{}", name).fix("drop {}", name);
  CHECK(text == "op: no " + shown + "\n  line " + shown + "\n  expected " + shown + ", got " + shown +
                    "\n  fix: drop " + shown);
  Error error("op: no.");
  error.add_context("in layer " + name);
  error.add_context("in layer " + name);
  CHECK(std::string(error.what()) == "op: no.\n  in layer " + shown);
  CHECK(std::string(Message("op", "x").lines("one{}\ntwo", '\r')) == "op: x\n  one\\r\ntwo");
}

TEST_CASE("what is no character in UTF-8 is shown byte by byte") {
  // U+00E4, U+20AC, U+10348; a stray byte, an overlong form, a surrogate, beyond U+10FFFF, a cut character; U+009B.
  CHECK(detail::printable("\xc3\xa4\xe2\x82\xac\xf0\x90\x8d\x88") == "\xc3\xa4\xe2\x82\xac\xf0\x90\x8d\x88");
  CHECK(detail::printable("\x93") == R"(\x93)");
  CHECK(detail::printable("\xc0\xaf") == R"(\xc0\xaf)");
  CHECK(detail::printable("\xe0\x9f\xbf") == R"(\xe0\x9f\xbf)");
  CHECK(detail::printable("\xed\xa0\x80") == R"(\xed\xa0\x80)");
  CHECK(detail::printable("\xf4\x90\x80\x80") == R"(\xf4\x90\x80\x80)");
  CHECK(detail::printable("\xf0\x8f\xbf\xbf") == R"(\xf0\x8f\xbf\xbf)");
  CHECK(detail::printable("\xe2\x82") == R"(\xe2\x82)");
  CHECK(detail::printable("\xc2\x9b") == R"(\xc2\x9b)");
  CHECK(detail::printable("\xc2\xa0") == "\xc2\xa0");
}

TEST_CASE("texts of any length are shortened in a message") {
  const std::string name(70000, 'x');
  const std::string text = Message("op", name + " is there.").line("layer {}", name).fix("use a shorter one");
  CHECK(text.size() < 10000);
  CHECK(text.find("...\n  layer xxx") != std::string::npos);
  CHECK(text.ends_with("...\n  fix: use a shorter one"));
  std::string umlauts;
  for (int i = 0; i < 3000; ++i) umlauts += i == 0 ? "x" : "\xc3\xa4";
  CHECK(std::string(Message("op", umlauts)).ends_with("\xc3\xa4..."));
  Error error("op: no.");
  error.add_context("in layer " + name);
  error.add_context("in layer " + name);
  CHECK(std::string(error.what()).size() < 5000);
  error.add_context(umlauts);
  CHECK(std::string(error.what()).ends_with("\xc3\xa4..."));
}
