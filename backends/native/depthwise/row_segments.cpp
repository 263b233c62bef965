#include <dygrad/backends/native/depthwise/row_segments.h>

namespace dygrad::native {

RowSegments RowSegments::of_output(const Conv2DSizes& s, std::int64_t weight_step) {
  return {s, weight_step, {s.oh, s.ow}, {s.h, s.w}, {s.sh, s.sw}, {1, 1}, conv2d_transpose_taps};
}
RowSegments RowSegments::of_input(const Conv2DSizes& s, std::int64_t weight_step) {
  return {s, weight_step, {s.h, s.w}, {s.oh, s.ow}, {1, 1}, {s.sh, s.sw}, conv2d_taps};
}

RowSegments::RowSegments(const Conv2DSizes& s, std::int64_t weight_step, Pair pixels, Pair others, Pair pixel_step,
                         Pair patch_step, MakeTaps make_taps)
    : channels_(s.c),
      kernel_columns_(s.kw),
      weight_step_(weight_step),
      pixels_(pixels),
      others_(others),
      pixel_step_(pixel_step),
      patch_step_(patch_step),
      row_taps_(make_taps(pixels.rows, others.rows, s.kh, s.sh, s.ph, s.dh)),
      column_taps_(make_taps(pixels.columns, others.columns, s.kw, s.sw, s.pw, s.dw)),
      down_(segments_of(row_taps_, pixel_step.rows)),
      right_(segments_of(column_taps_, pixel_step.columns)) {
  for (const AxisSegment& segment : down_) down_groups_.push_back(groups_of(segment, patch_step.rows));
  for (const AxisSegment& segment : right_) right_groups_.push_back(groups_of(segment, patch_step.columns));
}

std::vector<RowSegments::Group> RowSegments::groups_of(const AxisSegment& segment, std::int64_t step) {
  std::vector<AxisTaps::Tap> taps(segment.taps.begin(), segment.taps.end());
  if (taps.size() > 1 && taps[0].input > taps[1].input) std::ranges::reverse(taps);  // they are in order
  std::vector<Group> groups;
  while (!taps.empty()) {
    const AxisTaps::Tap start = taps.front();
    Group group{start.input, start.kernel, 0, 0};
    std::erase_if(taps, [&](const AxisTaps::Tap& tap) {
      const bool is_next = group.count < kMaxAdjacentTaps && tap.input == start.input + group.count * step;
      if (is_next && group.count == 1) group.kernel_step = tap.kernel - start.kernel;
      group.count += is_next;
      return is_next;
    });
    groups.push_back(group);
  }
  return groups;
}

void RowSegments::find_taps(std::size_t down, std::size_t right, Along along, std::vector<AdjacentTaps>& taps) const {
  taps.clear();
  const auto add = [&](const Group& rows, const Group& columns) {
    taps.push_back({(rows.input * others_.columns + columns.input) * channels_,
                    (rows.kernel * kernel_columns_ + columns.kernel) * weight_step_,
                    (rows.kernel_step * kernel_columns_ + columns.kernel_step) * weight_step_,
                    rows.count * columns.count});
  };
  const auto alone = [](const AxisTaps::Tap& tap) { return Group{tap.input, tap.kernel, 0, 1}; };
  if (along == Along::column) {
    for (const Group& rows : down_groups_[down]) {
      for (const auto& tap : right_[right].taps) add(rows, alone(tap));
    }
    return;
  }
  for (const auto& tap : down_[down].taps) {
    if (along == Along::row) {
      for (const Group& columns : right_groups_[right]) add(alone(tap), columns);
    } else {
      for (const auto& other : right_[right].taps) add(alone(tap), alone(other));
    }
  }
}

Range RowSegments::block_of(Range rows, std::int64_t element_bytes) const {
  constexpr std::int64_t kBlockBytes = 1 << 18;  // of both images: a part of L2
  const std::int64_t row_elements = row_size() + others_.rows * others_.columns * channels_ / pixels_.rows;
  const std::int64_t fit = std::max<std::int64_t>(1, kBlockBytes / (row_elements * element_bytes));
  const std::int64_t in_image = rows.first % pixels_.rows, step = pixel_step_.rows;
  std::int64_t count = 0;
  if (in_image == 0 && std::min(fit, rows.size()) >= pixels_.rows) {
    count = std::min(fit, rows.size()) / pixels_.rows * pixels_.rows;
  } else {  // as many rows of each residue modulo the stride
    count = std::min({fit > step ? fit / step * step : fit, pixels_.rows - in_image, rows.size()});
  }
  return {rows.first, rows.first + count};
}

RowSegments::SegmentGrid RowSegments::segment_grid_of(Range block, std::size_t down, std::size_t right,
                                                      std::vector<AdjacentTaps>& taps) const {
  constexpr std::int64_t kLong = 8;  // pixels that are done at once
  const AxisSegment &rows = down_[down], &columns = right_[right];
  const std::int64_t image = block.first / pixels_.rows, images = ceil_div(block.size(), pixels_.rows);
  const std::int64_t in_image = block.first % pixels_.rows;
  const auto rows_before = [&](std::int64_t row) {
    return std::clamp<std::int64_t>(ceil_div(row - rows.first, pixel_step_.rows), 0, rows.count);
  };
  const std::int64_t first = rows_before(in_image);
  const std::int64_t last = rows_before(images > 1 ? pixels_.rows : in_image + block.size());

  const std::int64_t patch_row_size = others_.columns * channels_;
  SegmentGrid grid{};
  grid.pixels =
      ((image * pixels_.rows + rows.first + first * pixel_step_.rows) * pixels_.columns + columns.first) * channels_;
  grid.patches = (image * others_.rows + first * patch_step_.rows) * patch_row_size;
  grid.down = {last - first, pixel_step_.rows * row_size(), patch_step_.rows * patch_row_size};
  grid.batch = {images, pixels_.rows * row_size(), others_.rows * patch_row_size};
  if (first == last) return grid;

  SegmentGrid::Axis segment{columns.count, pixel_step_.columns * channels_, patch_step_.columns * channels_};
  Along along = Along::row;
  if (segment.count < kLong && std::max(grid.down.count, grid.batch.count) > segment.count) {
    along = grid.down.count >= grid.batch.count ? Along::column : Along::batch;
    std::swap(segment, along == Along::column ? grid.down : grid.batch);
  }
  find_taps(down, right, along, taps);
  grid.segment = {taps.data(),        static_cast<std::int64_t>(taps.size()),
                  segment.count,      channels_,
                  segment.pixel_step, segment.patch_step};
  return grid;
}

}  // namespace dygrad::native
