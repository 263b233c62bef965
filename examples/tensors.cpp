// Lesson 1: tensors. What they are made of, how they share memory, and what happens when shapes do not fit.
#include <iostream>
#include <vector>

#include <dygrad/dygrad.h>

#include "expect.h"

using namespace dygrad;

int main() {
  std::cout << "A tensor is made from a list, from memory, or from a rule:\n\n";
  const Tensor table = tensor({{1., 2., 3.}, {4., 5., 6.}});
  std::cout << table << '\n' << arange(6) << '\n' << eye(2, -1, float64) << "\n\n";
  expect(table.shape() == Shape{2, 3} && table.dtype() == float32, "nested braces give shape [2, 3]; 1. is a float32");
  expect(tensor({1, 2}).dtype() == int64, "whole numbers are int64");

  std::vector<float> samples = {0.5F, 1.5F, 2.5F};
  const Tensor borrowed = from_memory(samples.data(), {3}, float32);
  samples[0] = 9;
  expect(borrowed.at({0}) == 9, "from_memory borrows: nothing was copied");

  std::cout << "\nRandom numbers come from a seed and a counter, so they are the same for any number of threads:\n\n";
  Generator first(7), second(7);
  const Tensor noise = normal({2, 4}, 0, 1, {.generator = &first});
  std::cout << noise << "\n\n";
  expect(all(noise == normal({2, 4}, 0, 1, {.generator = &second})), "equal seeds give equal numbers");

  std::cout << "\nCopying a tensor copies a handle. Views look at the same memory through other strides:\n\n";
  Tensor x = arange(12, float32).reshape({3, 4});
  Tensor same = x;
  Tensor column = x.select(1, 2);
  Tensor turned = x.transpose(0, 1);
  column.fill(-1);
  std::cout << "x after its third column was filled with -1:\n" << x << "\n\n";
  expect(same.at({1, 2}) == -1 && turned.at({2, 1}) == -1, "the handle and the transposed view see the change");
  expect(!turned.is_contiguous() && turned.contiguous().is_contiguous(), "contiguous() copies only where it must");
  expect(x.clone().version() == 0 && x.version() > 0, "a clone has memory of its own");

  std::cout << "\nShapes broadcast as in numpy, and sums go over any axes:\n\n";
  const Tensor row_means = table.mean({1}, /*keepdim=*/true);
  std::cout << table - row_means << "\n\n";
  expect(row_means.shape() == Shape{2, 1}, "keepdim leaves an extent of 1, which then broadcasts");
  expect((table * table).sum().item() == 91, "1 + 4 + 9 + 16 + 25 + 36 = 91");
  expect(matmul(table, table.transpose(0, 1)).at({0, 1}) == 32, "1*4 + 2*5 + 3*6 = 32");

  std::cout << "\nBig tensors are summarised:\n\n" << linspace(0, 1, 10'000).reshape({100, 100}) << '\n';

  std::cout << "\nMistakes name the op, what was expected and what was got:\n\n";
  std::string message;
  try {
    table + ones({2, 4});
  } catch (const ShapeError& error) {
    message = error.what();
  }
  std::cout << message << "\n\n";
  expect(message.find("[2, 3]") != message.npos && message.find("[2, 4]") != message.npos, "both shapes are named");
  return verdict();
}
