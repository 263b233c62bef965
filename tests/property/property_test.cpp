// Calls of every op with generated arguments; see README.md for how to run more of them, and one again.
#include <algorithm>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <fstream>
#include <string>
#include <string_view>

#include <sys/resource.h>
#include <unistd.h>

#include <fmt/format.h>

#include <dygrad/tests/property/call.h>
#include <dygrad/tests/support/catch.h>

// Sanitizers need most of the address space, and have a limit of their own; they are slower, too.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define DYGRAD_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define DYGRAD_SANITIZED 1
#endif
#endif

#if defined(DYGRAD_SANITIZED)
extern "C" const char* __asan_default_options() { return "allocator_may_return_null=1:max_allocation_size_mb=1536"; }
extern "C" const char* __tsan_default_options() { return "allocator_may_return_null=1:max_allocation_size_mb=1536"; }
constexpr std::uint64_t kCalls = 20000;
#else
constexpr std::uint64_t kCalls = 100000;
#endif

namespace dygrad::testing {

namespace {

struct Family {
  const char* name;
  MakeCall make;
};
constexpr Family kFamilies[] = {{"elementwise", elementwise_call},
                                {"activations", activation_call},
                                {"views", view_call},
                                {"moves", move_call},
                                {"indices", index_call},
                                {"reductions", reduction_call},
                                {"matmul", matmul_call},
                                {"convolutions", convolution_call},
                                {"pools", pool_call},
                                {"norms", norm_call},
                                {"losses", loss_call},
                                {"factories", factory_call},
                                {"tensors", tensor_call}};

std::uint64_t number_from(const char* variable, std::uint64_t otherwise) {
  const char* text = std::getenv(variable);
  return text ? std::strtoull(text, nullptr, 10) : otherwise;
}

/// What runs now, for the handler of signals.
char current[4096];
void note(const std::string& text) {
  const std::size_t length = std::min(text.size(), sizeof(current) - 1);
  std::memcpy(current, text.data(), length);
  current[length] = 0;
}

constexpr unsigned kSeconds = 60;  // that one call may take

void tell_and_die(int signal) {
  const char* what = signal == SIGALRM ? "\nno answer in time from\n" : "\ncrashed in\n";
  for (const char* text : {what, static_cast<const char*>(current), "\n"}) {
    if (write(STDERR_FILENO, text, std::strlen(text)) < 0) break;
  }
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

/// More memory than any valid call here needs, and less than extreme ones ask for: 1.5 GiB beside what there is.
void limit_memory() {
#if !defined(DYGRAD_SANITIZED)
  rlim_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  rlimit limit{};
  getrlimit(RLIMIT_AS, &limit);
  limit.rlim_cur =
      std::min<rlim_t>(limit.rlim_max, pages * static_cast<rlim_t>(sysconf(_SC_PAGESIZE)) + (rlim_t{3} << 29));
  setrlimit(RLIMIT_AS, &limit);
#endif
}

std::uint64_t mixed(std::uint64_t seed, std::uint64_t number) {
  std::uint64_t z = seed + number * 0x9E3779B97F4A7C15U;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9U;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBU;
  return z ^ (z >> 31);
}

}  // namespace

TEST_CASE("every op agrees with plain loops, or throws an Error, whatever its arguments") {
  const std::uint64_t seed = number_from("DYGRAD_PROPERTY_SEED", 20240229);
  const std::uint64_t first = number_from("DYGRAD_PROPERTY_FIRST", 0);
  const std::uint64_t calls = number_from("DYGRAD_PROPERTY_CALLS", kCalls);
  const char* only = std::getenv("DYGRAD_PROPERTY_FAMILY");
  if (only) {
    std::string known;
    for (const Family& family : kFamilies) known += fmt::format("{} ", family.name);
    INFO("DYGRAD_PROPERTY_FAMILY is one of " << known);
    REQUIRE(std::ranges::find(kFamilies, std::string_view(only), &Family::name) != std::end(kFamilies));
  }
  limit_memory();
  for (const int signal : {SIGABRT, SIGSEGV, SIGFPE, SIGILL, SIGBUS, SIGALRM}) std::signal(signal, tell_and_die);

  int failures = 0;
  for (std::uint64_t number = first; number < first + calls && failures < 20; ++number) {
    Random random(mixed(seed, number));
    const Family& family = kFamilies[random.below(std::ssize(kFamilies))];
    if (only && std::string_view(only) != family.name) continue;
    const std::string replay =
        fmt::format("{}: replay with DYGRAD_PROPERTY_SEED={} DYGRAD_PROPERTY_FIRST={} DYGRAD_PROPERTY_CALLS=1\n",
                    family.name, seed, number);
    note(replay + "(while its arguments were made)");
    alarm(kSeconds);
    const Call call = family.make(random);
    std::string text = replay + call.text;
    for (const Tensor& x : call.inputs) text += "\n  " + describe(x);
    note(text);
    try {
      check(call, random);
    } catch (const std::exception& error) {
      ++failures;
      UNSCOPED_INFO(error.what() << "\n" << replay << describe(call) << "\n");
    }
  }
  alarm(0);
  for (const int signal : {SIGABRT, SIGSEGV, SIGFPE, SIGILL, SIGBUS, SIGALRM}) std::signal(signal, SIG_DFL);
  CHECK(failures == 0);
}

}  // namespace dygrad::testing
