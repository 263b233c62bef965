#include <dygrad/core/print.h>
