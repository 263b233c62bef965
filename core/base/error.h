// The exceptions dygrad throws. Every message has one shape: "op: problem.", then facts, then "fix: ...".
// Users catch these; the library builds them with core/base/detail/message.h.
#pragma once

#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

#include <dygrad/core/base/export.h>

namespace dygrad {

/// Base of all errors thrown by dygrad. `what()` says what went wrong, where, what was expected and what was got.
class DYGRAD_API Error : public std::runtime_error {
 public:
  /// OutOfMemory is thrown instead where there is no memory for the text.
  explicit Error(const std::string& text);
  explicit Error(const char* text);
  const char* what() const noexcept override;
  /// Adds a line that says where: "  in layer linear_0". Nothing if the text ends with it already, or if there is no
  /// memory for it.
  void add_context(std::string_view where) noexcept;

 private:
  std::shared_ptr<const std::string> text_with_context_;  // shared by copies, as the text is
};

/// An argument is outside its documented range or form.
class DYGRAD_API InvalidArgument : public Error {
 public:
  using Error::Error;
};

namespace detail {
/// A tensor without a value was used. Ops that catch it name themselves and the operand.
class DYGRAD_API UndefinedTensor : public InvalidArgument {
 public:
  using InvalidArgument::InvalidArgument;
};
}  // namespace detail

/// Shapes, ranks, axes or sizes do not fit.
class DYGRAD_API ShapeError : public InvalidArgument {
 public:
  using InvalidArgument::InvalidArgument;
};

/// Element types do not fit, or an op does not exist for one.
class DYGRAD_API DtypeError : public InvalidArgument {
 public:
  using InvalidArgument::InvalidArgument;
};

/// The recorded graph cannot be used as asked: freed, changed in place, unreachable.
class DYGRAD_API GraphError : public Error {
 public:
  using Error::Error;
};

/// A backend was asked for something it cannot do, or its library failed.
class DYGRAD_API BackendError : public Error {
 public:
  using Error::Error;
};

/// A file is missing, unreadable, malformed, or cannot be written.
class DYGRAD_API IoError : public Error {
 public:
  using Error::Error;
};

/// An allocation failed; the message says how many bytes were asked for.
class DYGRAD_API OutOfMemory : public Error {
 public:
  using Error::Error;
};

}  // namespace dygrad
