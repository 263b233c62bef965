#include <dygrad/core/kernels/activate.h>

#include <dygrad/core/kernels/elementwise.h>

namespace dygrad::kernel {

template <class T>
void activate(const FusedActivation& activation, T* const* rows, std::int64_t num_rows, std::int64_t count) {
  if (!activation) return;
  with_values(activation, [&](auto function) {
    vectorize([=] {
      for (std::int64_t r = 0; r < num_rows; ++r) {
        T* const y = rows[r];
        DYGRAD_IVDEP
        for (std::int64_t i = 0; i < count; ++i) y[i] = static_cast<T>(function.forward(y[i]));
      }
    });
  });
}
template void activate(const FusedActivation&, float* const*, std::int64_t, std::int64_t);
template void activate(const FusedActivation&, double* const*, std::int64_t, std::int64_t);

void activate(const FusedActivation& activation, const Tensor& y) {
  if (!activation) return;
  dispatch_float(y.dtype(), "activate", [&]<class T>() {
    with_values(activation,
                [&](auto function) { map_into<T, T>([function](T v) { return function.forward(v); }, y, y); });
  });
}

}  // namespace dygrad::kernel
