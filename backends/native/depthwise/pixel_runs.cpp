#include <dygrad/backends/native/depthwise/pixel_runs.h>

namespace dygrad::native {

PixelRuns PixelRuns::of_output(const Conv2DSizes& s, std::int64_t weight_step) {
  return {s, weight_step, {s.oh, s.ow}, {s.h, s.w}, {s.sh, s.sw}, {1, 1}, transposed_terms};
}
PixelRuns PixelRuns::of_input(const Conv2DSizes& s, std::int64_t weight_step) {
  return {s, weight_step, {s.h, s.w}, {s.oh, s.ow}, {1, 1}, {s.sh, s.sw}, ordinary_terms};
}

PixelRuns::PixelRuns(const Conv2DSizes& s, std::int64_t weight_step, Pair pixels, Pair others, Pair pixel_step,
                     Pair patch_step, Terms terms_of)
    : channels_(s.c),
      kernel_columns_(s.kw),
      weight_step_(weight_step),
      pixels_(pixels),
      others_(others),
      pixel_step_(pixel_step),
      patch_step_(patch_step),
      down_terms_(terms_of(pixels.rows, others.rows, s.kh, s.sh, s.ph, s.dh)),
      right_terms_(terms_of(pixels.columns, others.columns, s.kw, s.sw, s.pw, s.dw)),
      down_(runs_of(down_terms_, pixel_step.rows)),
      right_(runs_of(right_terms_, pixel_step.columns)) {
  for (const AxisRun& run : down_) down_groups_.push_back(groups_of(run, patch_step.rows));
  for (const AxisRun& run : right_) right_groups_.push_back(groups_of(run, patch_step.columns));
}

std::vector<PixelRuns::Group> PixelRuns::groups_of(const AxisRun& run, std::int64_t step) {
  std::vector<AxisTerms::Term> terms(run.terms.begin(), run.terms.end());
  if (terms.size() > 1 && terms[0].operand > terms[1].operand) std::ranges::reverse(terms);  // they are in order
  std::vector<Group> groups;
  while (!terms.empty()) {
    const AxisTerms::Term start = terms.front();
    Group group{start.operand, start.kernel, 0, 0};
    std::erase_if(terms, [&](const AxisTerms::Term& term) {
      const bool is_next = group.count < kMostNeighbours && term.operand == start.operand + group.count * step;
      if (is_next && group.count == 1) group.kernel_step = term.kernel - start.kernel;
      group.count += is_next;
      return is_next;
    });
    groups.push_back(group);
  }
  return groups;
}

void PixelRuns::find_taps(std::size_t down, std::size_t right, Along along, std::vector<Neighbours>& taps) const {
  taps.clear();
  const auto add = [&](const Group& rows, const Group& columns) {
    taps.push_back({(rows.operand * others_.columns + columns.operand) * channels_,
                    (rows.kernel * kernel_columns_ + columns.kernel) * weight_step_,
                    (rows.kernel_step * kernel_columns_ + columns.kernel_step) * weight_step_,
                    rows.count * columns.count});
  };
  const auto alone = [](const AxisTerms::Term& term) { return Group{term.operand, term.kernel, 0, 1}; };
  if (along == Along::column) {
    for (const Group& rows : down_groups_[down]) {
      for (const auto& term : right_[right].terms) add(rows, alone(term));
    }
    return;
  }
  for (const auto& term : down_[down].terms) {
    if (along == Along::row) {
      for (const Group& columns : right_groups_[right]) add(alone(term), columns);
    } else {
      for (const auto& other : right_[right].terms) add(alone(term), alone(other));
    }
  }
}

Range PixelRuns::block_of(Range rows, std::int64_t bytes_of_number) const {
  constexpr std::int64_t kBlockBytes = 1 << 18;  // of both images: a part of the second cache
  const std::int64_t numbers = row_size() + others_.rows * others_.columns * channels_ / pixels_.rows;
  const std::int64_t fit = std::max<std::int64_t>(1, kBlockBytes / (numbers * bytes_of_number));
  const std::int64_t in_image = rows.first % pixels_.rows, step = pixel_step_.rows;
  std::int64_t count = 0;
  if (in_image == 0 && std::min(fit, rows.size()) >= pixels_.rows) {
    count = std::min(fit, rows.size()) / pixels_.rows * pixels_.rows;
  } else {  // the same number of rows of each phase
    count = std::min({fit > step ? fit / step * step : fit, pixels_.rows - in_image, rows.size()});
  }
  return {rows.first, rows.first + count};
}

PixelRuns::Lattice PixelRuns::lattice_of(Range block, std::size_t down, std::size_t right,
                                         std::vector<Neighbours>& taps) const {
  constexpr std::int64_t kLong = 8;  // pixels that are done at once
  const AxisRun &rows = down_[down], &columns = right_[right];
  const std::int64_t image = block.first / pixels_.rows, images = ceil_div(block.size(), pixels_.rows);
  const std::int64_t in_image = block.first % pixels_.rows;
  const auto rows_before = [&](std::int64_t row) {
    return std::clamp<std::int64_t>(ceil_div(row - rows.first, pixel_step_.rows), 0, rows.count);
  };
  const std::int64_t first = rows_before(in_image);
  const std::int64_t last = rows_before(images > 1 ? pixels_.rows : in_image + block.size());

  const std::int64_t patch_row_size = others_.columns * channels_;
  Lattice lattice{};
  lattice.pixels =
      ((image * pixels_.rows + rows.first + first * pixel_step_.rows) * pixels_.columns + columns.first) * channels_;
  lattice.patches = (image * others_.rows + first * patch_step_.rows) * patch_row_size;
  lattice.down = {last - first, pixel_step_.rows * row_size(), patch_step_.rows * patch_row_size};
  lattice.batch = {images, pixels_.rows * row_size(), others_.rows * patch_row_size};
  if (first == last) return lattice;

  Lattice::Axis run{columns.count, pixel_step_.columns * channels_, patch_step_.columns * channels_};
  Along along = Along::row;
  if (run.count < kLong && std::max(lattice.down.count, lattice.batch.count) > run.count) {
    along = lattice.down.count >= lattice.batch.count ? Along::column : Along::batch;
    std::swap(run, along == Along::column ? lattice.down : lattice.batch);
  }
  find_taps(down, right, along, taps);
  lattice.run = {taps.data(),   static_cast<std::int64_t>(taps.size()), run.count, channels_, run.pixel_step,
                 run.patch_step};
  return lattice;
}

}  // namespace dygrad::native
