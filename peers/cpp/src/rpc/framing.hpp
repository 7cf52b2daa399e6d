#pragma once
// Frames on a stream, as the Language Server Protocol has them: header lines, an empty line, and
// as many bytes as the header Content-Length says.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

namespace zerobuffer::rpc {

inline constexpr std::size_t kLargestBody = 64 * 1024 * 1024;

struct Body {
    std::string text;
    bool operator==(const Body&) const = default;
};

// Something that is not a frame. Reading goes on at the next "Content-Length:".
struct BadFrame {
    std::string reason;
    bool operator==(const BadFrame&) const = default;
};

using Incoming = std::variant<Body, BadFrame>;

// Takes bytes as they come, gives frames as they are complete.
class Decoder {
public:
    void feed(std::string_view bytes) { buffer_.append(bytes); }
    // Nothing until more has been fed.
    std::optional<Incoming> next();
    // Whether a frame has begun and is not complete.
    bool in_a_frame() const noexcept;

private:
    enum class State { header, body, lost };

    std::optional<std::string> take_line();
    std::optional<BadFrame> read_header(std::string_view line);
    BadFrame lose(std::string reason);
    bool find_frame();

    std::string buffer_;
    State state_ = State::header;
    std::optional<std::size_t> length_;
    std::size_t header_bytes_ = 0;
};

std::string encode(std::string_view body);

}  // namespace zerobuffer::rpc
