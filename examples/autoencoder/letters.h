// Letters made of strokes: the small font of the pictures' labels.
#pragma once

#include <vector>

struct GlyphPoint {
  float x, y;  // in units of a capital's height; y upwards from the baseline
};

struct Glyph {
  float width = 0;
  std::vector<std::vector<GlyphPoint>> strokes;
};

/// A blank for a character the font lacks.
const Glyph& glyph(char letter);
