// Zip archives made field by field, for tests of what a reader does with odd ones.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include <zlib.h>

namespace dygrad::testing {

inline std::string u16(std::size_t v) { return {static_cast<char>(v), static_cast<char>(v >> 8)}; }
inline std::string u32(std::size_t v) { return u16(v & 0xffff) + u16(v >> 16); }

/// A bare deflate stream, ended by `flush`: Z_FINISH, or Z_FULL_FLUSH if another will follow it.
inline std::string deflate_bytes(const std::string& plain, int flush = Z_FINISH) {
  std::string out(compressBound(plain.size()) + 64, '\0');
  z_stream stream{};
  deflateInit2(&stream, 9, Z_DEFLATED, -MAX_WBITS, 9, Z_DEFAULT_STRATEGY);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(plain.data()));
  stream.avail_in = static_cast<uInt>(plain.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, flush);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

/// An archive of one member that holds `data`, and claims this method, size and checksum of what it becomes.
inline std::string zip_bytes(const std::string& name, const std::string& data, std::size_t method,
                             std::size_t plain_bytes, std::uint32_t checksum, std::size_t flags = 0,
                             const std::string& comment = {}) {
  const std::string common = u16(20) + u16(flags) + u16(method) + u32(0) + u32(checksum) + u32(data.size()) +
                             u32(plain_bytes) + u16(name.size()) + u16(0);
  const std::string local = "PK\x03\x04" + common + name + data;
  const std::string central = "PK\x01\x02" + u16(20) + common + std::string(10, '\0') + u32(0) + name;
  return local + central + "PK\x05\x06" + u32(0) + u16(1) + u16(1) + u32(central.size()) + u32(local.size()) +
         u16(comment.size()) + comment;
}

}  // namespace dygrad::testing
