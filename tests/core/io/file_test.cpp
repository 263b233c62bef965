#include <dygrad/core/io/detail/file.h>

#include <dygrad/core/base/error.h>
#include <dygrad/tests/support/catch.h>
#include <dygrad/tests/support/file_size_limit.h>
#include <dygrad/tests/support/temporary_folder.h>

#include <array>
#include <filesystem>

#include <sys/wait.h>
#include <unistd.h>

using namespace dygrad;
using dygrad::testing::MessageContains;
using dygrad::testing::TemporaryFolder;

TEST_CASE("a file appears whole when it is committed, and not before") {
  const TemporaryFolder folder;
  const std::string path = folder.file("a");
  {
    io::AtomicFileWriter file({"test", path});
    file.write("hello ");
    file.write("world");
    CHECK(file.num_bytes() == 11);
    CHECK_FALSE(std::filesystem::exists(path));
    file.commit();
  }
  CHECK(testing::read_file(path) == "hello world");
  CHECK(folder.num_files() == 1);
}

TEST_CASE("a writer that is dropped leaves the old file and nothing else") {
  const TemporaryFolder folder;
  const std::string path = folder.file("a");
  testing::write_file(path, "old");
  {
    io::AtomicFileWriter file({"test", path});
    file.write("new");
  }
  CHECK(testing::read_file(path) == "old");
  CHECK(folder.num_files() == 1);
}

TEST_CASE("a process that dies while writing leaves the old file whole") {
  const TemporaryFolder folder;
  const std::string path = folder.file("a");
  testing::write_file(path, "old");
  const pid_t child = fork();
  if (child == 0) {
    io::AtomicFileWriter file({"test", path});
    file.write("half of the new");
    _exit(9);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(testing::read_file(path) == "old");
}

TEST_CASE("a write that fails is an error with its reason and leaves everything as it was") {
  const TemporaryFolder folder;
  const std::string path = folder.file("a");
  testing::write_file(path, "old");
  {
    const testing::FileSizeLimit limit(1000);
    const std::string large(5000, 'x');
    io::AtomicFileWriter file({"save_test", path});
    CHECK_THROWS_MATCHES(file.write(large), IoError, MessageContains("save_test", path, "File too large"));
  }
  CHECK(testing::read_file(path) == "old");
  CHECK(folder.num_files() == 1);
}

TEST_CASE("a missing directory and things that are no files are refused") {
  const TemporaryFolder folder;
  CHECK_THROWS_MATCHES(io::AtomicFileWriter({"test", folder.file("none/a")}), IoError,
                       MessageContains("none/a", "No such file"));
  CHECK_THROWS_MATCHES(io::AtomicFileWriter({"test", folder.path()}), IoError, MessageContains("not a regular file"));
  CHECK_THROWS_MATCHES(io::AtomicFileWriter({"test", "/dev/null"}), IoError, MessageContains("not a regular file"));
  CHECK_THROWS_AS(io::AtomicFileWriter({"test", ""}), IoError);
  CHECK_THROWS_MATCHES(io::InputFile({"test", folder.path()}), IoError, MessageContains("not a regular file"));
  CHECK_THROWS_MATCHES(io::InputFile({"test", folder.file("none")}), IoError, MessageContains("none", "No such file"));
}

TEST_CASE("a folder without permission is refused") {
  if (geteuid() == 0) {
    WARN("skipped: permissions do not bind the superuser");
    SUCCEED();
    return;
  }
  const TemporaryFolder folder;
  std::filesystem::permissions(folder.path(), std::filesystem::perms::owner_read | std::filesystem::perms::owner_exec);
  CHECK_THROWS_MATCHES(io::AtomicFileWriter({"test", folder.file("a")}), IoError, MessageContains("Permission denied"));
  std::filesystem::permissions(folder.path(), std::filesystem::perms::owner_all);
}

TEST_CASE("a replaced file keeps its permissions, and a link keeps leading to it") {
  const TemporaryFolder folder;
  const std::string path = folder.file("a"), link = folder.file("link");
  testing::write_file(path, "old");
  using std::filesystem::perms;
  std::filesystem::permissions(path, perms::owner_read | perms::owner_write);
  std::filesystem::create_symlink("a", link);
  io::AtomicFileWriter file({"test", link});
  file.write("new");
  file.commit();
  CHECK(std::filesystem::is_symlink(link));
  CHECK(testing::read_file(path) == "new");
  CHECK(std::filesystem::status(path).permissions() == (perms::owner_read | perms::owner_write));
}

TEST_CASE("reading stops at the end of the file and at the caller's limit") {
  const TemporaryFolder folder;
  const std::string path = folder.file("a");
  testing::write_file(path, "0123456789");
  CHECK(io::read_file({"test", path}, 10).size() == 10);
  CHECK_THROWS_MATCHES(io::read_file({"test", path}, 9), IoError, MessageContains("too large", "10 bytes", "9"));
  const io::InputFile file({"test", path});
  std::array<std::byte, 4> bytes;
  file.read_at(6, bytes);
  CHECK(bytes[3] == std::byte{'9'});
  CHECK_THROWS_MATCHES(file.read_at(7, bytes), IoError, MessageContains("ends early"));
  CHECK_THROWS_AS(file.read_at(~std::uint64_t{0}, bytes), IoError);
  std::filesystem::resize_file(path, 5);
  CHECK_THROWS_MATCHES(file.read_at(4, bytes), IoError, MessageContains("shorter"));
}
