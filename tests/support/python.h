// Runs Python where it is there with the modules a test needs; such tests compare our files with other programs'.
#pragma once

#include <cstdlib>
#include <initializer_list>
#include <optional>
#include <string>

#include <dygrad/tests/support/temporary_folder.h>

namespace dygrad::testing {

/// A Python that can import `modules` ("numpy, safetensors"), or nothing. $DYGRAD_PYTHON is asked first.
inline std::optional<std::string> find_python(const std::string& modules) {
  const char* chosen = std::getenv("DYGRAD_PYTHON");
  for (const char* python : {chosen, "python3", "/usr/bin/python3"}) {
    if (python && std::system((std::string(python) + " -c 'import " + modules + "' >/dev/null 2>&1").c_str()) == 0)
      return python;
  }
  return std::nullopt;
}

/// Runs the script in the folder; true if it ended well. An assertion that fails in the script makes it false.
inline bool run_python(const std::string& python, const TemporaryFolder& folder, const std::string& script) {
  write_file(folder.file("script.py"), script);
  return std::system(("cd '" + folder.path() + "' && '" + python + "' script.py").c_str()) == 0;
}

}  // namespace dygrad::testing
