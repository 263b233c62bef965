#include <dygrad/layers/base/naming.h>

#include <map>
#include <mutex>
#include <set>
#include <utility>

#include <dygrad/core/base/detail/demangle.h>
#include <dygrad/core/base/detail/message.h>
#include <dygrad/core/base/detail/per_thread.h>
#include <dygrad/core/base/error.h>
#include <dygrad/core/base/out_of_memory.h>

namespace dygrad {

namespace detail {

/// Shared by threads, and kept alive by the names claimed in it.
class NameScope : public std::enable_shared_from_this<NameScope> {
 public:
  void check(const std::string& name) {
    const std::scoped_lock lock(mutex_);
    check_locked(name);
  }
  NameClaim claim(const std::string& name) {
    const std::scoped_lock lock(mutex_);
    check_locked(name);
    std::string taken = name;
    living_.insert(taken);
    return {shared_from_this(), std::move(taken)};
  }
  NameClaim claim_numbered(const std::string& stem, int& next) {
    const std::scoped_lock lock(mutex_);
    return claim_numbered_locked(stem, next);
  }
  NameClaim claim_counted(const std::string& stem) {
    const std::scoped_lock lock(mutex_);
    return claim_numbered_locked(stem, counters_[stem]);
  }
  void release(const std::string& name) {
    const std::scoped_lock lock(mutex_);
    living_.erase(name);
  }
  std::string next_layer_name(const std::string& stem) {
    const std::scoped_lock lock(mutex_);
    int& next = counters_[stem];
    std::string name = fmt::format("{}_{}", stem, next);
    ++next;
    return name;
  }

 private:
  NameClaim claim_numbered_locked(const std::string& stem, int& next) {
    int number = next;
    std::string name;
    do {
      name = fmt::format("{}_{}", stem, number++);
    } while (living_.contains(name));
    living_.insert(name);
    next = number;  // nothing fails any more
    return {shared_from_this(), std::move(name)};
  }
  void check_locked(const std::string& name) const {
    if (name.empty())
      throw InvalidArgument(
          Message("ParamAttr", "a parameter's name must not be empty.").fix("leave the name out to have one made"));
    if (living_.contains(name)) {
      throw InvalidArgument(Message("ParamAttr", "a parameter named \"{}\" exists already.", name)
                                .fix("choose another name, or share the parameter: b.weight = a.weight"));
    }
  }

  std::mutex mutex_;
  std::map<std::string, int> counters_;
  std::set<std::string> living_;
};

namespace {
/// Of this thread's innermost guard; null without one.
std::shared_ptr<NameScope>& guarded_scope() {
  return per_thread([] { return std::shared_ptr<NameScope>(); });
}
NameScope& current_scope() {
  if (guarded_scope()) return *guarded_scope();
  static const auto* const everywhere = new std::shared_ptr<NameScope>(std::make_shared<NameScope>());
  return **everywhere;  // never destroyed: static parameters release their names after main
}
}  // namespace

NameClaim::NameClaim(std::shared_ptr<NameScope> scope, std::string name)
    : scope_(std::move(scope)), name_(std::move(name)) {}
NameClaim::~NameClaim() {
  if (scope_) scope_->release(name_);
}
NameClaim::NameClaim(NameClaim&& other) noexcept
    : scope_(std::exchange(other.scope_, nullptr)), name_(std::exchange(other.name_, {})) {}
NameClaim& NameClaim::operator=(NameClaim&& other) noexcept {
  std::swap(scope_, other.scope_);
  std::swap(name_, other.name_);
  return *this;
}

void check_parameter_name(const std::string& name) { current_scope().check(name); }
NameClaim claim_parameter_name(const std::string& name) { return current_scope().claim(name); }
NameClaim claim_counted_name(const std::string& stem) { return current_scope().claim_counted(stem); }
NameClaim claim_numbered_name(const std::string& stem, int& next) { return current_scope().claim_numbered(stem, next); }
std::string next_layer_name(const std::string& stem) { return current_scope().next_layer_name(stem); }

std::string class_name(const std::type_info& type) {
  const std::string whole = demangled(type.name());
  const std::string_view text = whole;
  std::size_t begin = 0, end = text.size();
  int depth = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '<' && depth == 0) end = i;
    if (c == '<' || c == '(') ++depth;
    if (c == '>' || c == ')') --depth;
    if (c == ':' && depth == 0) {
      begin = i + 1;
      end = text.size();
    }
  }
  const std::string_view name = text.substr(begin, end - begin);
  return std::string(name.starts_with("{lambda") || name.starts_with("$_") ? "a lambda" : name);
}

// Words begin before a capital that small letters follow, and between a small letter and a capital.
std::string snake_case(std::string_view name) {
  const auto is_lower = [](char c) { return c >= 'a' && c <= 'z'; };
  const auto is_upper = [](char c) { return c >= 'A' && c <= 'Z'; };
  std::string snake;
  for (std::size_t i = 0; i < name.size(); ++i) {
    const bool begins_word = i + 1 < name.size() && is_lower(name[i + 1]);
    if (i > 0 && is_upper(name[i]) && name[i - 1] != '_' && (begins_word || is_lower(name[i - 1]))) snake += '_';
    snake += is_upper(name[i]) ? static_cast<char>(name[i] - 'A' + 'a') : name[i];
  }
  return snake;
}

}  // namespace detail

UniqueNameGuard::UniqueNameGuard()
    : previous_(detail::with_out_of_memory("UniqueNameGuard", [] {
        auto fresh = std::make_shared<detail::NameScope>();
        return std::exchange(detail::guarded_scope(), std::move(fresh));
      })) {}
UniqueNameGuard::~UniqueNameGuard() { detail::guarded_scope() = std::move(previous_); }

}  // namespace dygrad
