// What killed saves leave behind, and who removes it.
#include <dygrad/core/io/detail/temporary_file.h>

#include <dygrad/core/base/error.h>
#include <dygrad/core/io/detail/file.h>
#include <dygrad/tests/support/catch.h>
#include <dygrad/tests/support/child_process.h>
#include <dygrad/tests/support/file_size_limit.h>
#include <dygrad/tests/support/temporary_folder.h>

#include <array>
#include <filesystem>
#include <random>
#include <thread>

#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

using namespace dygrad;
using namespace std::string_literals;
using dygrad::testing::Child;
using dygrad::testing::MessageContains;
using dygrad::testing::TemporaryFolder;

namespace {

void save(const std::string& path, std::string_view text) {
  io::AtomicFileWriter file({"test", path});
  file.write(text);
  file.commit();
}

/// A process that sees no /proc has to give its temporary file a name from the start, as on file systems without
/// nameless files. Its paths begin in the folder.
bool enter(const TemporaryFolder& folder) { return ::chroot(folder.path().c_str()) == 0 && ::chdir("/") == 0; }

bool can_enter() {
  if (testing::exit_status_of_child([] { return ::chroot("/") == 0 ? 0 : 1; }) == 0) return true;
  WARN("skipped: only the superuser can hide /proc");
  SUCCEED();
  return false;
}

/// Until the other process is so far.
class Signal {
 public:
  Signal() { REQUIRE(::pipe(ends_.data()) == 0); }
  ~Signal() {
    ::close(ends_[0]);
    ::close(ends_[1]);
  }
  Signal(const Signal&) = delete;
  Signal& operator=(const Signal&) = delete;
  void send() { (void)!::write(ends_[1], "x", 1); }
  void await() {
    char c;
    (void)!::read(ends_[0], &c, 1);
  }

 private:
  std::array<int, 2> ends_{};
};

}  // namespace

TEST_CASE("nothing is left of a save that is killed while it writes") {
  const TemporaryFolder folder;
  const std::string path = folder.file("a");
  save(path, "old");
  Signal begun;
  Child child([&] {
    io::AtomicFileWriter file({"test", path});
    file.write("half of the new");
    begun.send();
    return ::pause();
  });
  begun.await();
  child.kill();
  CHECK(testing::read_file(path) == "old");
  CHECK(folder.num_files() == 1);
}

TEST_CASE("where a temporary file needs a name, the next save removes what a killed one left") {
  if (!can_enter()) return;
  const TemporaryFolder folder;
  const std::string path = folder.file("a");
  save(path, "old");
  save(folder.file("b"), "other");
  for (int round = 0; round < 3; ++round) {
    Signal begun;
    Child child([&] {
      if (!enter(folder)) return 1;
      io::AtomicFileWriter file({"test", "/a"});
      file.write("half of the new");
      begun.send();
      return ::pause();
    });
    begun.await();
    CHECK(folder.num_files() == 3);
    // Of a save that lives nothing is taken away, by another one to the same file or to a neighbour.
    save(path, "new");
    save(folder.file("b"), "newer");
    CHECK(folder.num_files() == 3);
    child.kill();
    CHECK(folder.num_files() == 3);
    CHECK(testing::read_file(path) == "new");
  }
  save(path, "last");
  CHECK(testing::read_file(path) == "last");
  CHECK(folder.num_files() == 2);
}

TEST_CASE("a temporary file with a name ends as the target, or not at all") {
  if (!can_enter()) return;
  const TemporaryFolder folder;
  const auto inside = [&](auto&& f) { return testing::exit_status_of_child([&] { return enter(folder) ? f() : 1; }); };
  const std::string long_name(255, 'n');
  CHECK(inside([&] { return save("/" + long_name, "named"), 0; }) == 0);
  CHECK(testing::read_file(folder.file(long_name)) == "named");
  CHECK(inside([&] {
          const testing::FileSizeLimit limit(3);
          try {
            save("/" + long_name, "longer");
          } catch (const IoError&) {
            return 0;
          }
          return 2;
        }) == 0);
  CHECK(testing::read_file(folder.file(long_name)) == "named");
  CHECK(folder.num_files() == 1);
}

TEST_CASE("a file without a name that may not get one is copied") {
  if (!can_enter()) return;
  const TemporaryFolder folder;
  const std::string path = folder.file("a");
  for (const std::string& text : {std::string(300000, 'x'), "short"s}) {
    CHECK(testing::exit_status_of_child([&] {
            io::AtomicFileWriter file({"test", path});
            file.write(text);
            if (!enter(folder)) return 1;  // begun with /proc, and ended without
            file.commit();
            return 0;
          }) == 0);
    CHECK(testing::read_file(path) == text);
    CHECK(folder.num_files() == 1);
  }
}

TEST_CASE("saves to one file from several threads leave one of them, whole", "[threads]") {
  const TemporaryFolder folder;
  const std::string path = folder.file("a");
  std::vector<std::thread> threads;
  for (char c = 'a'; c < 'e'; ++c) {
    threads.emplace_back([&path, text = std::string(3000, c)] {
      for (int i = 0; i < 10; ++i) save(path, text);
    });
  }
  for (std::thread& thread : threads) thread.join();
  const std::string last = testing::read_file(path);
  CHECK(last.size() == 3000);
  CHECK(last == std::string(last.size(), last[0]));
  CHECK(folder.num_files() == 1);
}

TEST_CASE("after kills at any time the file is a whole one, and the next save leaves nothing else", "[slow]") {
  const bool by_name = GENERATE(false, true);
  if (by_name && !can_enter()) return;
  const TemporaryFolder folder;
  const std::string path = folder.file("a");
  const std::array texts{std::string(300000, 'x'), std::string(200000, 'y'), std::string()};
  save(path, texts[0]);
  std::mt19937 random(18);
  for (int round = 0; round < 50; ++round) {
    Child child([&] {
      if (by_name && !enter(folder)) return 1;
      for (std::size_t i = 0;; ++i) save(by_name ? "/a" : path, texts[i % texts.size()]);
    });
    ::usleep(static_cast<useconds_t>(random() % 20000));
    child.kill();
    const std::string found = testing::read_file(path);
    REQUIRE(std::find(texts.begin(), texts.end(), found) != texts.end());
    REQUIRE(folder.num_files() <= 2);
  }
  save(path, "end");
  CHECK(testing::read_file(path) == "end");
  CHECK(folder.num_files() == 1);
}

TEST_CASE("on a disk that is full the old file stays, alone") {
  const TemporaryFolder folder;
  const std::string path = folder.file("a");
  const int status = testing::exit_status_of_child([&] {
    // A small disk that only this process sees.
    if (::unshare(CLONE_NEWNS) != 0) return 77;
    if (::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return 77;
    if (::mount("none", folder.path().c_str(), "tmpfs", 0, "size=64k") != 0) return 77;
    save(path, "old");
    try {
      save(path, std::string(100000, 'x'));
      return 1;
    } catch (const IoError& error) {
      if (!MessageContains("No space left", path, "fix").match(error)) return 2;
    }
    if (testing::read_file(path) != "old") return 3;
    if (folder.num_files() != 1) return 4;
    save(path, std::string(50000, 'y'));  // what failed takes no room
    return testing::read_file(path).size() == 50000 ? 0 : 5;
  });
  if (status == 77) WARN("skipped: this process may not mount a disk of its own");
  else CHECK(status == 0);
}
