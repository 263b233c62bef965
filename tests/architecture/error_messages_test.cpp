// Every place that throws builds its message with core/base/detail/message.h, and says what was wrong, with which
// values, and how to fix it. Found by reading the sources, so that a new place cannot be forgotten.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <dygrad/tests/architecture/include_graph.h>
#include <dygrad/tests/support/catch.h>

using namespace dygrad::testing;

namespace {

std::string text_of(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

/// The text with its comments blanked, and every ';' inside of quotes replaced, so that a ';' ends a statement.
std::string without_comments(std::string text) {
  bool quoted = false, comment = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\n') comment = false;
    else if (comment) text[i] = ' ';
    else if (!quoted && text.compare(i, 2, "//") == 0) comment = true, text[i] = ' ';
    else if (text.compare(i, 3, "'\"'") == 0) i += 2;
    else if (quoted && text[i] == '\\') ++i;
    else if (text[i] == '"') quoted = !quoted;
    else if (quoted && text[i] == ';') text[i] = ',';
  }
  return text;
}

struct Statement {
  std::size_t line;
  std::string text;
};

/// Every statement that builds a message.
std::vector<Statement> messages_of(const std::string& source) {
  const std::string text = without_comments(source);
  std::vector<Statement> statements;
  const std::string start = "Message(";
  for (std::size_t at = text.find(start); at != std::string::npos; at = text.find(start, at + 1)) {
    if (at > 0 && (std::isalnum(static_cast<unsigned char>(text[at - 1])) || text[at - 1] == '_')) continue;
    const std::size_t begin = text.find_last_of(";{}", at) + 1, end = text.find(';', at);
    const auto line =
        static_cast<std::size_t>(std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(at), '\n'));
    statements.push_back({line + 1, text.substr(begin, end - begin)});
    at = end;
  }
  return statements;
}

bool has(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

/// What a message lacks, or "". One that is passed on is completed where it is thrown.
std::string lacks(const std::string& statement) {
  const bool tells_values = (has(statement, ".expected(") && has(statement, ".got(")) || has(statement, ".line(") ||
                            has(statement, ".lines(") || has(statement, "fmt::format(");
  if (has(statement, "throw ") && !has(statement, ".fix(")) return "no fix";
  if (!tells_values && !has(statement, ".got(") && !has(statement, ".fix(")) return "no values";
  return "";
}

std::vector<std::string> incomplete_messages(const std::filesystem::path& root) {
  std::vector<std::string> places;
  for (const char* folder : {"core", "autograd", "layers", "backends"}) {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(root / folder)) {
      const std::string name = std::filesystem::relative(entry.path(), root).string();
      if (entry.path().extension() != ".cpp" && entry.path().extension() != ".h") continue;
      if (name == "core/base/detail/message.h" || name == "core/base/detail/message.cpp") continue;
      for (const Statement& statement : messages_of(text_of(entry.path()))) {
        const std::string missing = lacks(statement.text);
        if (!missing.empty()) places.push_back(name + ":" + std::to_string(statement.line) + ": " + missing);
      }
    }
  }
  return places;
}

}  // namespace

TEST_CASE("every error of the library gives values and a fix") {
  const std::vector<std::string> places = incomplete_messages(DYGRAD_SOURCE_DIR);
  INFO(joined(places));
  CHECK(places.empty());
}

TEST_CASE("an error without a fix is reported") {
  const auto first = [](const std::string& source) { return lacks(messages_of(source).at(0).text); };
  CHECK(first("if (x) throw E(Message(op, \"a; b\").expected(\"1\").got(\"2\"));") == "no fix");
  CHECK(first("throw E(Message(op, \"a\").expected(\"1\").got(\"2\").fix(\"c\"));").empty());
  CHECK(first("return Message(op, \"a\");") == "no values");
  CHECK(first("return Message(op, \"a\").line(\"x {}\", x);").empty());
  CHECK(messages_of("// Message(op, \"a\");\nclass Message { Message(); };").size() == 1);
}
