#include "rpc/framing.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <utility>

namespace zerobuffer::rpc {

namespace {

constexpr std::string_view kLengthHeader = "content-length:";
constexpr std::size_t kLongestHeader = 16 * 1024;
constexpr std::size_t kQuote = 80;

bool same_letter(char a, char b) {
    return std::tolower(static_cast<unsigned char>(a)) == std::tolower(static_cast<unsigned char>(b));
}

std::size_t find_length_header(std::string_view text) {
    const auto at = std::search(text.begin(), text.end(), kLengthHeader.begin(),
                                kLengthHeader.end(), same_letter);
    return at == text.end() ? std::string_view::npos
                            : static_cast<std::size_t>(at - text.begin());
}

bool is_header_name(std::string_view name) {
    return !name.empty() && std::all_of(name.begin(), name.end(), [](unsigned char c) {
        return std::isalnum(c) || c == '-';
    });
}

std::string_view trimmed(std::string_view text) {
    constexpr std::string_view blank = " \t";
    const auto first = text.find_first_not_of(blank);
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(blank) - first + 1);
}

std::string quoted(std::string_view text) {
    return "'" + std::string(text.substr(0, kQuote)) + "'";
}

}  // namespace

std::optional<Incoming> Decoder::next() {
    for (;;) {
        if (state_ == State::lost) {
            if (!find_frame()) return std::nullopt;
            state_ = State::header;
        }
        if (state_ == State::body) {
            if (buffer_.size() < *length_) return std::nullopt;
            Body body{buffer_.substr(0, *length_)};
            buffer_.erase(0, *length_);
            state_ = State::header;
            length_.reset();
            return body;
        }
        const auto line = take_line();
        if (!line) {
            if (header_bytes_ + buffer_.size() <= kLongestHeader) return std::nullopt;
            return lose("headers longer than " + std::to_string(kLongestHeader) + " bytes");
        }
        if (!line->empty()) {
            if (auto bad = read_header(*line)) return *std::move(bad);
            continue;
        }
        header_bytes_ = 0;
        if (!length_) return BadFrame{"headers without Content-Length"};
        state_ = State::body;
    }
}

bool Decoder::in_a_frame() const noexcept {
    return state_ == State::body || (state_ == State::header && header_bytes_ + buffer_.size() > 0);
}

// Without its end, "\r\n" or a bare "\n".
std::optional<std::string> Decoder::take_line() {
    const auto end = buffer_.find('\n');
    if (end == std::string::npos) return std::nullopt;
    std::string line = buffer_.substr(0, end);
    buffer_.erase(0, end + 1);
    header_bytes_ += end + 1;
    if (!line.empty() && line.back() == '\r') line.pop_back();
    return line;
}

std::optional<BadFrame> Decoder::read_header(std::string_view line) {
    const auto colon = line.find(':');
    if (colon == std::string_view::npos || !is_header_name(line.substr(0, colon))) {
        BadFrame bad = lose("expected a header, found " + quoted(line));
        // A frame may begin in the same line, behind a stray text that does not end in one.
        const auto start = find_length_header(line);
        if (start != std::string_view::npos) {
            buffer_.insert(0, std::string(line.substr(start)) + "\n");
        }
        return bad;
    }
    if (find_length_header(line.substr(0, colon + 1)) != 0) return std::nullopt;
    const std::string_view digits = trimmed(line.substr(colon + 1));
    std::uint64_t length = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), length);
    const bool whole = end == digits.data() + digits.size() && !digits.empty();
    if (whole && error == std::errc::result_out_of_range) length = kLargestBody + 1;
    if (!whole || error == std::errc::invalid_argument) {
        return lose("Content-Length is not a number: " + quoted(digits));
    }
    if (length > kLargestBody) {
        return lose("Content-Length over " + std::to_string(kLargestBody) + ": " + quoted(digits));
    }
    length_ = length;
    return std::nullopt;
}

BadFrame Decoder::lose(std::string reason) {
    state_ = State::lost;
    length_.reset();
    header_bytes_ = 0;
    return BadFrame{std::move(reason)};
}

// Drops what is before the next Content-Length; keeps what may be the beginning of one.
bool Decoder::find_frame() {
    const auto start = find_length_header(buffer_);
    if (start != std::string::npos) {
        buffer_.erase(0, start);
        return true;
    }
    const std::size_t keep = std::min(buffer_.size(), kLengthHeader.size() - 1);
    buffer_.erase(0, buffer_.size() - keep);
    return false;
}

std::string encode(std::string_view body) {
    return "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string(body);
}

}  // namespace zerobuffer::rpc
