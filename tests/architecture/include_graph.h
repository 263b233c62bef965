// The include lines of a source tree, and the rules they must keep. For the architecture tests.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace dygrad::testing {

/// Path relative to the root ("core/tensor/tensor.h") -> what it includes, as written between brackets; an include in
/// quotes as if it had been written <dygrad/...>.
using IncludeGraph = std::map<std::string, std::vector<std::string>>;

/// Reads every .h and .cpp of the six folders below `root`.
IncludeGraph read_include_graph(const std::filesystem::path& root);
/// The includes of the text of a file in `folder`.
std::vector<std::string> includes_of(const std::string& text, const std::filesystem::path& folder);

/// Each function returns one line per breach: file, include, rule.
std::vector<std::string> wrong_arrows(const IncludeGraph& graph);
std::vector<std::string> wrong_rooms(const IncludeGraph& graph);
std::vector<std::string> unknown_rooms(const IncludeGraph& graph);
/// Private headers, recognised by their place, behind the umbrella; and public ones that it does not reach.
std::vector<std::string> private_headers_of_users(const IncludeGraph& graph);
std::vector<std::string> headers_out_of_reach(const IncludeGraph& graph);
std::vector<std::string> misplaced_vendors(const IncludeGraph& graph);
std::vector<std::string> unknown_files(const IncludeGraph& graph);
std::vector<std::string> cycles(const IncludeGraph& graph);
/// Headers of the standard library that every file of a user would pay for.
std::vector<std::string> costly_includes(const IncludeGraph& graph);

/// All the lines, for a test's message.
std::string joined(const std::vector<std::string>& lines);

}  // namespace dygrad::testing
