// Paths that saves and loads are given: odd names, links, files that may not be replaced, things that are no files.
#include <dygrad/core/io/detail/save_target.h>

#include <dygrad/core/base/error.h>
#include <dygrad/core/creation/factories.h>
#include <dygrad/core/data/idx.h>
#include <dygrad/core/io/detail/file.h>
#include <dygrad/core/io/npy.h>
#include <dygrad/core/io/safetensors.h>
#include <dygrad/tests/support/catch.h>
#include <dygrad/tests/support/child_process.h>
#include <dygrad/tests/support/temporary_folder.h>

#include <filesystem>
#include <functional>

#include <grp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

using namespace dygrad;
using namespace std::string_literals;
using dygrad::testing::MessageContains;
using dygrad::testing::TemporaryFolder;
namespace fs = std::filesystem;

namespace {

using Call = std::function<void(const std::string& path)>;

std::vector<std::pair<std::string, Call>> saves() {
  return {{"save_npy", [](const std::string& path) { save_npy(path, ones({2})); }},
          {"save_npz",
           [](const std::string& path) {
             save_npz(path, {{"x", ones({2})}});
           }},
          {"save_safetensors", [](const std::string& path) {
             save_safetensors(path, {{"x", ones({2})}});
           }}};
}
std::vector<std::pair<std::string, Call>> loads() {
  return {{"load_npy", [](const std::string& path) { (void)load_npy(path); }},
          {"load_npz", [](const std::string& path) { (void)load_npz(path); }},
          {"load_idx", [](const std::string& path) { (void)load_idx(path); }},
          {"load_idx", [](const std::string& path) { (void)load_mnist(path, Split::test); }},
          {"load_safetensors", [](const std::string& path) { (void)load_safetensors(path); }}};
}

void save(const std::string& path, std::string_view text) {
  io::AtomicFileWriter file({"test", path});
  file.write(text);
  file.commit();
}

struct stat facts_of(const std::string& path) {
  struct stat facts {};
  REQUIRE(::lstat(path.c_str(), &facts) == 0);
  return facts;
}

}  // namespace

TEST_CASE("a path with a zero byte names no file, neither for saving nor for loading") {
  const TemporaryFolder folder;
  const std::string path = folder.file("a");
  testing::write_file(path, "old");
  for (const auto& calls : {saves(), loads()}) {
    for (const auto& [op, call] : calls) {
      INFO(op);
      CHECK_THROWS_MATCHES(call(path + "\0.npy"s), IoError, MessageContains(op, "zero byte", "fix"));
      CHECK_THROWS_MATCHES(call("\0"s), IoError, MessageContains(op, "zero byte"));
    }
  }
  CHECK(testing::read_file(path) == "old");
  CHECK(folder.num_files() == 1);
}

TEST_CASE("names and paths of every length that the system allows can be saved to") {
  const TemporaryFolder folder;
  for (const std::size_t length : {1, 200, 250, 255}) {
    const std::string path = folder.file(std::string(length, 'n'));
    for (const char* text : {"one", "two"}) {
      save(path, text);
      CHECK(testing::read_file(path) == text);
    }
  }
  CHECK(folder.num_files() == 4);
  for (const auto& [op, call] : saves())
    CHECK_THROWS_MATCHES(call(folder.file(std::string(256, 'n'))), IoError,
                         MessageContains(op, "File name too long", "fix"));
  // The longest path that may be opened has 4095 bytes; beside it there is none for a longer name.
  std::string deep = folder.path();
  while (deep.size() + 201 < 4090) deep += "/" + std::string(200, 'd');
  fs::create_directories(deep);
  const std::string path = deep + "/" + std::string(4095 - deep.size() - 1, 'n');
  save(path, "deep");
  CHECK(testing::read_file(path) == "deep");
  CHECK_THROWS_MATCHES(save(path + "n", "x"), IoError, MessageContains("File name too long"));
}

TEST_CASE("a save goes through symbolic links to the file they lead to, also where there is none yet") {
  const TemporaryFolder folder;
  fs::create_directory(folder.file("data"));
  fs::create_symlink("data/file", folder.file("first"));
  fs::create_symlink("first", folder.file("second"));
  fs::create_symlink(folder.file("second"), folder.file("third"));
  fs::create_symlink("../third", folder.file("data/fourth"));
  for (const char* link : {"first", "third", "data/fourth", "second"}) {
    INFO(link);
    save(folder.file(link), link);
    CHECK(fs::is_symlink(folder.file(link)));
    CHECK(testing::read_file(folder.file("data/file")) == link);
    CHECK_FALSE(fs::is_symlink(folder.file("data/file")));
    if (link == "third"s) fs::remove(folder.file("data/file"));
  }
  CHECK(folder.num_files() == 4);
  // A folder that is a link, and one above it.
  fs::create_directory_symlink("data", folder.file("way"));
  save(folder.file("way/../way/file"), "by folder");
  CHECK(testing::read_file(folder.file("data/file")) == "by folder");
}

TEST_CASE("links that lead nowhere a file can be are refused") {
  const TemporaryFolder folder;
  fs::create_symlink("b", folder.file("a"));
  fs::create_symlink("a", folder.file("b"));
  fs::create_symlink("missing/file", folder.file("c"));
  fs::create_symlink(".", folder.file("d"));
  CHECK_THROWS_MATCHES(save(folder.file("a"), "x"), IoError, MessageContains("symbolic links"));
  CHECK_THROWS_MATCHES(save(folder.file("c"), "x"), IoError, MessageContains("No such file"));
  CHECK_THROWS_MATCHES(save(folder.file("d"), "x"), IoError, MessageContains("not a regular file", "directory"));
  CHECK_THROWS_MATCHES(save(folder.file("e/"), "x"), IoError, MessageContains("fix"));
  for (const char* link : {"a", "b", "c", "d"}) CHECK(fs::is_symlink(folder.file(link)));
  CHECK(folder.num_files() == 4);
}

TEST_CASE("a read-only file is not replaced, not even by the superuser") {
  const TemporaryFolder folder;
  const std::string path = folder.file("a"), link = folder.file("link");
  testing::write_file(path, "old");
  fs::create_symlink("a", link);
  REQUIRE(::chmod(path.c_str(), 0444) == 0);
  for (const auto& [op, call] : saves()) {
    CHECK_THROWS_MATCHES(call(path), IoError, MessageContains(op, path, "read-only", "0444", "fix"));
    CHECK_THROWS_MATCHES(call(link), IoError, MessageContains(op, "read-only"));
  }
  CHECK(testing::read_file(path) == "old");
  CHECK((facts_of(path).st_mode & 07777) == 0444);
  CHECK(folder.num_files() == 2);
}

TEST_CASE("a replaced file keeps its mode whatever the umask, and a new one follows it") {
  const TemporaryFolder folder;
  const mode_t umask = ::umask(0027);
  for (const mode_t mode : {0600U, 0666U, 0640U, 0755U, 0200U, 02664U}) {
    const std::string path = folder.file(std::to_string(mode));
    testing::write_file(path, "old");
    REQUIRE(::chmod(path.c_str(), mode) == 0);
    save(path, "new");
    CHECK((facts_of(path).st_mode & 07777) == mode);
  }
  save(folder.file("fresh"), "new");
  CHECK((facts_of(folder.file("fresh")).st_mode & 07777) == 0640);
  ::umask(umask);
}

TEST_CASE("a replaced file keeps owner and group where they may be given") {
  if (geteuid() != 0) {
    WARN("skipped: only the superuser can make files of others");
    SUCCEED();
    return;
  }
  constexpr uid_t kOther = 12345, kSaver = 23456;
  constexpr gid_t kGroup = 34567;
  const TemporaryFolder folder;
  const std::string path = folder.file("a");
  const auto prepare = [&](mode_t mode) {
    fs::remove(path);
    testing::write_file(path, "old");
    REQUIRE(::chown(path.c_str(), kOther, kGroup) == 0);
    REQUIRE(::chmod(path.c_str(), mode) == 0);
  };
  prepare(04640);
  save(path, "new");
  CHECK(facts_of(path).st_uid == kOther);
  CHECK(facts_of(path).st_gid == kGroup);
  CHECK((facts_of(path).st_mode & 07777) == 04640);

  // A process of another user, which may write into the folder, and into the file only by the bits for all.
  REQUIRE(::chmod(folder.path().c_str(), 0777) == 0);
  const auto save_as = [&](gid_t group) {
    return testing::exit_status_of_child([&] {
      if (::setgroups(1, &group) != 0 || ::setgid(kSaver) != 0 || ::setuid(kSaver) != 0) return 2;
      try {
        save(path, "newer");
      } catch (const IoError& error) {
        return std::string_view(error.what()).find("Permission denied") != std::string_view::npos ? 1 : 3;
      }
      return 0;
    });
  };
  prepare(0664);
  CHECK(save_as(kSaver) == 1);
  CHECK(testing::read_file(path) == "old");
  CHECK(save_as(kGroup) == 0);
  CHECK(facts_of(path).st_uid == kSaver);
  CHECK(facts_of(path).st_gid == kGroup);
  CHECK((facts_of(path).st_mode & 07777) == 0664);
  // Its own group must not get what was meant for the old one.
  prepare(0672);
  CHECK(save_as(kSaver) == 0);
  CHECK(facts_of(path).st_gid == kSaver);
  CHECK((facts_of(path).st_mode & 07777) == 0622);
  CHECK(folder.num_files() == 1);
}

TEST_CASE("directories, pipes, sockets and devices are neither saved to nor loaded from") {
  const TemporaryFolder folder;
  REQUIRE(::mkfifo(folder.file("pipe").c_str(), 0666) == 0);
  fs::create_directory(folder.file("folder"));
  const int socket = ::socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  folder.file("socket").copy(address.sun_path, sizeof address.sun_path - 1);
  REQUIRE(::bind(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  ::close(socket);
  const std::vector<std::string> paths{folder.file("pipe"), folder.file("folder"), folder.file("socket"),
                                       "/dev/null",         "/dev/zero",           "/dev/full"};
  for (const std::string& path : paths) {
    const mode_t before = facts_of(path).st_mode;
    for (const auto& calls : {saves(), loads()}) {
      for (const auto& [op, call] : calls) {
        INFO(op << " " << path);
        CHECK_THROWS_MATCHES(call(path), IoError, MessageContains(op, "fix"));
      }
    }
    CHECK(facts_of(path).st_mode == before);
  }
  CHECK(folder.num_files() == 3);
}

TEST_CASE("files of /proc, whose size is 0, are errors or read as they say") {
  for (const auto& [op, call] : loads()) CHECK_THROWS_AS(call("/proc/self/status"), IoError);
  CHECK(io::read_file({"test", "/proc/self/status"}, 100).empty());
  CHECK_THROWS_AS(save("/proc/self/status", "x"), IoError);
  CHECK_THROWS_AS(save("/proc/none", "x"), IoError);
}
