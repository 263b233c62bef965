#include "letters.h"

#include <algorithm>
#include <array>
#include <sstream>
#include <string>
#include <string_view>

namespace {

// Each stroke is a word: its kind, then two digits per corner, x and y, each 0-9 and a-z. The baseline is at y = 4,
// small letters reach to e, capitals to i.
//   -  straight from corner to corner; a single one is a dot
//   ~  a curve with these corners rounded off, except the ends and corners given twice
//   o  a closed curve
struct Drawing {
  char letter;
  std::string_view strokes;
};

constexpr Drawing kDrawings[] = {
    {'0', "o04848a8c8i0i0c0a"},
    {'1', "-0f4i44"},
    {'2', "~0e0i8i8c040484"},
    {'3', "~0f0i7i7b3b ~3b8b840407"},
    {'4', "-646i0888"},
    {'5', "-7i1i0b ~0b3d8d840407"},
    {'6', "o04848d0d ~080i6i7g"},
    {'7', "-0i8i34"},
    {'8', "o1b7b7i1i o04848b0b"},
    {'9', "o0i8i8909 ~8e842416"},
    {'.', "-04"},
    {',', "-2402"},
    {':', "-05 -0c"},
    {'-', "-0a6a"},
    {'+', "-0a8a -464e"},
    {'=', "-0888 -0c8c"},
    {'/', "-037j"},
    {'(', "~3j0g0532"},
    {')', "~0j3g3502"},
    {'a', "o04848e0e -8e84"},
    {'b', "-0i04 o04848e0e"},
    {'c', "~7c7e0e047476"},
    {'d', "-8i84 o04848e0e"},
    {'e', "~0989898e0e048486"},
    {'f', "~6i2i2d24 -0e5e"},
    {'g', "o04848e0e ~8e83800001"},
    {'h', "-0i04 ~090e7e7974"},
    {'i', "-0e04 -0i"},
    {'j', "~2e232000 -2i"},
    {'k', "-0i04 -7e08 -3a74"},
    {'l', "-0i04"},
    {'m', "-0e04 ~090e6e6964 ~696ecec9c4"},
    {'n', "-0e04 ~090e7e7974"},
    {'o', "o04848e0e"},
    {'p', "-0e00 o04848e0e"},
    {'q', "-8e80 o04848e0e"},
    {'r', "-0e04 ~090e5e"},
    {'s', "~7c7e0e0979740406"},
    {'t', "~2h282454 -0e5e"},
    {'u', "~0e09047479 -7e74"},
    {'v', "-0e448e"},
    {'w', "-0e346e94ce"},
    {'x', "-0e74 -047e"},
    {'y', "-0e44 -8e20"},
    {'z', "-0e7e0474"},
    {'A', "-045ia4 -2989"},
    {'E', "-8i0i0484 -0b6b"},
    {'F', "-8i0i04 -0b6b"},
    {'I', "-0i04"},
    {'M', "-040i67cic4"},
    {'N', "-040i949i"},
    {'P', "-040i ~0i0i9i9b0b0b"},
    {'R', "-040i ~0i0i9i9b0b0b -4b94"},
    {'S', "~8g8i0i0b8b840406"},
    {'T', "-0iai -5i54"},
};

constexpr float kUnit = 1 / 14.F;  // capitals are 14 digits high

float digit(char c) { return static_cast<float>(c <= '9' ? c - '0' : c - 'a' + 10); }

GlyphPoint middle(GlyphPoint a, GlyphPoint b) { return {(a.x + b.x) / 2, (a.y + b.y) / 2}; }

/// From `a` to `c`, drawn towards `b`: the parabola of these three.
void bend(std::vector<GlyphPoint>& line, GlyphPoint a, GlyphPoint b, GlyphPoint c) {
  constexpr int kSteps = 8;
  for (int i = 1; i <= kSteps; ++i) {
    const float t = static_cast<float>(i) / kSteps, s = 1 - t;
    line.push_back({s * s * a.x + 2 * s * t * b.x + t * t * c.x, s * s * a.y + 2 * s * t * b.y + t * t * c.y});
  }
}

std::vector<GlyphPoint> rounded(std::vector<GlyphPoint> corners, bool closed) {
  if (closed) {
    const GlyphPoint seam = middle(corners.back(), corners.front());
    corners.insert(corners.begin(), seam);
    corners.push_back(seam);
  }
  std::vector<GlyphPoint> line{corners.front()};
  for (std::size_t i = 1; i + 1 < corners.size(); ++i) {
    const bool last = i + 2 == corners.size();
    bend(line, line.back(), corners[i], last ? corners[i + 1] : middle(corners[i], corners[i + 1]));
  }
  return line;
}

Glyph make(std::string_view drawing) {
  Glyph result;
  std::istringstream words{std::string(drawing)};
  for (std::string word; words >> word;) {
    std::vector<GlyphPoint> corners;
    for (std::size_t i = 1; i + 1 < word.size(); i += 2) {
      corners.push_back({digit(word[i]) * kUnit, (digit(word[i + 1]) - 4) * kUnit});
      result.width = std::max(result.width, corners.back().x);
    }
    result.strokes.push_back(word[0] == '-' ? corners : rounded(corners, word[0] == 'o'));
  }
  return result;
}

}  // namespace

const Glyph& glyph(char letter) {
  static const auto all = [] {
    std::array<Glyph, 128> glyphs;
    glyphs.fill({4 * kUnit, {}});
    for (const Drawing& d : kDrawings) glyphs[static_cast<std::size_t>(d.letter)] = make(d.strokes);
    return glyphs;
  }();
  return all[static_cast<unsigned char>(letter) % all.size()];
}
