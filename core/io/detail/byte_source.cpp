#include <dygrad/core/io/detail/byte_source.h>

#include <zlib.h>

#include <algorithm>
#include <array>
#include <limits>
#include <new>

#include <dygrad/core/io/detail/fail.h>

namespace dygrad::io {

void FileSource::read(std::span<std::byte> bytes) {
  if (bytes.size() > most_left())
    fail(context(), "the data ends early: {} bytes are wanted, {} are left.", bytes.size(), most_left());
  file_.read_at(position_, bytes);
  position_ += bytes.size();
}

void FileSource::finish() {
  if (most_left() > 0) fail(context(), "{} bytes follow the end of the data.", most_left());
}

namespace {

/// A sparse file may claim to be so large that the product does not fit.
std::uint64_t most_from(std::uint64_t compressed) {
  constexpr std::uint64_t kMax = std::numeric_limits<std::uint64_t>::max();
  return compressed > kMax / kLargestExpansion ? kMax : compressed * kLargestExpansion;
}

class InflateSource final : public ByteSource {
 public:
  InflateSource(std::unique_ptr<ByteSource> compressed, Compression format)
      : ByteSource(compressed->context()),
        compressed_(std::move(compressed)),
        gzip_(format == Compression::gzip),
        most_left_(most_from(compressed_->most_left())) {
    // Window bits: negative for a bare deflate stream, plus 16 for gzip.
    if (inflateInit2(&stream_, gzip_ ? MAX_WBITS + 16 : -MAX_WBITS) != Z_OK) throw std::bad_alloc();
  }
  ~InflateSource() override { inflateEnd(&stream_); }

  void read(std::span<std::byte> bytes) override {
    if (produce(bytes) != bytes.size()) fail(context(), "the compressed data ends early.");
    most_left_ -= std::min<std::uint64_t>(most_left_, bytes.size());
  }
  std::uint64_t most_left() const override { return most_left_; }
  void finish() override {
    std::array<std::byte, 1> extra;
    if (produce(extra) != 0) fail(context(), "more compressed data than expected.");
    if (stream_.avail_in > 0) fail(context(), "bytes follow the compressed data.");
    compressed_->finish();
  }

 private:
  /// Decompresses until `bytes` is full or the stream ends; returns the number of bytes made.
  std::size_t produce(std::span<std::byte> bytes) {
    std::size_t done = 0;
    while (done < bytes.size() && !ended_) {
      if (stream_.avail_in == 0) refill();
      const std::size_t piece = std::min<std::size_t>(bytes.size() - done, 1U << 30);
      stream_.next_out = reinterpret_cast<Bytef*>(bytes.data() + done);
      stream_.avail_out = static_cast<uInt>(piece);
      const int status = ::inflate(&stream_, Z_NO_FLUSH);
      done += piece - stream_.avail_out;
      if (status == Z_STREAM_END) {
        const bool another = gzip_ && (stream_.avail_in > 0 || compressed_->most_left() > 0);
        if (another) inflateReset(&stream_);
        ended_ = !another;
      } else if (status == Z_BUF_ERROR && stream_.avail_in == 0 && compressed_->most_left() == 0) {
        fail(context(), "the compressed data ends early.");
      } else if (status == Z_MEM_ERROR) {
        throw std::bad_alloc();
      } else if (status != Z_OK && status != Z_BUF_ERROR) {
        fail(context(), "the compressed data is damaged: {}.", stream_.msg ? stream_.msg : "unexpected end");
      }
    }
    return done;
  }
  void refill() {
    const std::size_t count = std::min<std::uint64_t>(buffer_.size(), compressed_->most_left());
    compressed_->read(std::span(buffer_).first(count));
    stream_.next_in = reinterpret_cast<Bytef*>(buffer_.data());
    stream_.avail_in = static_cast<uInt>(count);
  }

  std::unique_ptr<ByteSource> compressed_;
  bool gzip_;
  bool ended_ = false;
  std::uint64_t most_left_;
  z_stream stream_{};
  std::array<std::byte, 65536> buffer_;
};

}  // namespace

std::unique_ptr<ByteSource> inflate(std::unique_ptr<ByteSource> compressed, Compression format) {
  return std::make_unique<InflateSource>(std::move(compressed), format);
}

}  // namespace dygrad::io
