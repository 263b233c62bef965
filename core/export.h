// Marks what the library shows: everything else stays hidden.
#pragma once

#if defined(_WIN32)
#define DYGRAD_API
#else
#define DYGRAD_API __attribute__((visibility("default")))
#endif
