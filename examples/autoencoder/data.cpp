#include "data.h"

#include <fmt/core.h>

#include <algorithm>

#include <dygrad/core/base/error.h>
#include <dygrad/core/data/idx.h>

#include "shapes.h"

using namespace dygrad;

namespace {

constexpr std::int64_t kShapesToTrain = 20'000;
constexpr std::int64_t kShapesToTest = 2'000;

/// [N, 28, 28] -> [N, 1, 28, 28].
Tensor with_channel(const Tensor& images, const std::string& folder) {
  const Shape& shape = images.shape();
  if (shape.rank() != 3 || shape[1] != 28 || shape[2] != 28 || shape[0] == 0) {
    throw IoError(fmt::format("load_images: the images in {} are not 28 x 28.", folder));
  }
  return images.reshape({shape[0], 1, 28, 28});
}

Images read(const std::string& folder) {
  const ImageSet train = load_mnist(folder, Split::train), test = load_mnist(folder, Split::test);
  Images images;
  images.name = folder.find("fashion") != std::string::npos ? "Fashion-MNIST" : "images";
  images.train = with_channel(train.images, folder);
  images.test = with_channel(test.images, folder);
  images.test_labels = test.labels;
  if (images.name == "Fashion-MNIST") {
    images.classes = {"t-shirt", "trousers", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot"};
  } else {
    images.classes = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"};
  }
  images.remark = fmt::format("{} from {}", images.name, folder);
  return images;
}

Images draw() {
  const Drawings train = draw_shapes(kShapesToTrain, /*seed=*/1), test = draw_shapes(kShapesToTest, /*seed=*/2);
  return {"drawn shapes", "shapes drawn on the spot", train.images, test.images, test.labels, shape_names()};
}

Tensor first(const Tensor& x, std::int64_t count) { return x.slice(0, 0, std::min(count, x.dim(0))).contiguous(); }

}  // namespace

Images load_images(const std::string& data, std::int64_t limit) {
  const std::string folder = data.empty() ? find_fashion_mnist().value_or("shapes") : data;
  Images images = folder == "shapes" ? draw() : read(folder);
  if (data.empty() && folder == "shapes") {
    images.remark = "Fashion-MNIST is not here (apt install dataset-fashion-mnist), so shapes drawn on the spot";
  }
  if (limit > 0) {
    images.train = first(images.train, limit);
    images.test = first(images.test, limit);
    images.test_labels = first(images.test_labels, limit);
  }
  return images;
}

double mean_image_error(const Images& images) {
  const Tensor train = images.train.flatten(1), test = images.test.flatten(1);
  const auto pixels = static_cast<std::size_t>(train.dim(1));
  std::vector<double> mean(pixels);
  const auto for_each = [pixels](const Tensor& set, const auto& use) {
    const auto values = set.read<std::uint8_t>();
    for (std::size_t i = 0; i < values.size(); ++i) use(i % pixels, values[i] / 255.);
  };
  for_each(train, [&](std::size_t pixel, double value) { mean[pixel] += value; });
  for (double& m : mean) m /= static_cast<double>(train.dim(0));
  double sum = 0;
  for_each(test, [&](std::size_t pixel, double value) { sum += (value - mean[pixel]) * (value - mean[pixel]); });
  return sum / static_cast<double>(test.num_elements());
}
