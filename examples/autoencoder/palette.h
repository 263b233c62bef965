// Colours of the pictures.
#pragma once

#include "canvas.h"

inline constexpr Color kPaper{255, 255, 255};
inline constexpr Color kInk{32, 36, 44};
inline constexpr Color kFaded{112, 119, 130};
inline constexpr Color kRule{228, 231, 236};
inline constexpr Color kBlue{38, 102, 207};
inline constexpr Color kPaleBlue{160, 192, 240};
inline constexpr Color kOrange{224, 104, 28};
