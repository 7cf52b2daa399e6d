#include "serve/test_data.hpp"

#include <algorithm>
#include <cstring>

#include "serve/check.hpp"

namespace zerobuffer::serve {

namespace {

// No frame of a step is larger; a step that asks for more is refused, not killed for memory.
constexpr std::uint64_t kLargest = std::uint64_t{1} << 32;

}  // namespace

void fill_pattern(std::span<std::byte> data, std::uint64_t sequence) {
    for (std::size_t i = 0; i < data.size(); ++i) data[i] = static_cast<std::byte>(i + sequence);
}

Bytes pattern(std::uint64_t size, std::uint64_t sequence) {
    expect(size <= kLargest, std::to_string(size) + " bytes are too many for a step");
    Bytes data(size);
    fill_pattern(data, sequence);
    return data;
}

void expect_pattern(const std::string& what, std::span<const std::byte> data,
                    std::uint64_t sequence) {
    for (std::size_t i = 0; i < data.size(); ++i) {
        const auto expected = static_cast<std::byte>(i + sequence);
        if (data[i] == expected) continue;
        expect_equal(what + ", byte " + std::to_string(i), static_cast<unsigned>(expected),
                     static_cast<unsigned>(data[i]));
    }
}

void expect_bytes(const std::string& what, std::span<const std::byte> expected,
                  std::span<const std::byte> found) {
    expect_equal(what + ", size in bytes", expected.size(), found.size());
    const auto [at, other] = std::mismatch(expected.begin(), expected.end(), found.begin());
    if (at == expected.end()) return;
    expect_equal(what + ", byte " + std::to_string(at - expected.begin()),
                 static_cast<unsigned>(*at), static_cast<unsigned>(*other));
}

Bytes text_bytes(const std::string& text) {
    Bytes data(text.size());
    std::memcpy(data.data(), text.data(), text.size());
    return data;
}

Bytes request_text(std::uint64_t index) {
    return text_bytes("Request " + std::to_string(index));
}

}  // namespace zerobuffer::serve
