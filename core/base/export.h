// What the library shows, and how it keeps data per thread.
#pragma once

/// Marks what the library shows: everything else stays hidden.
#if defined(_WIN32)
#define DYGRAD_API
#else
#define DYGRAD_API __attribute__((visibility("default")))
#endif

/// For a few pointers per thread on the path of every op: found without a call, in a shared library too.
#if defined(__GNUC__) && defined(__ELF__)
#define DYGRAD_THREAD_LOCAL __attribute__((tls_model("initial-exec"))) thread_local
#else
#define DYGRAD_THREAD_LOCAL thread_local
#endif
