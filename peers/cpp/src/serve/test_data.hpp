#pragma once
// The bytes that step servers in all languages write and expect.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace zerobuffer::serve {

using Bytes = std::vector<std::byte>;

// Byte i is (i + sequence) mod 256; sequence 0 where a step gives none.
void fill_pattern(std::span<std::byte> data, std::uint64_t sequence);
Bytes pattern(std::uint64_t size, std::uint64_t sequence = 0);

// Compares every byte. Throws StepFailure with the first that differs.
void expect_pattern(const std::string& what, std::span<const std::byte> data,
                    std::uint64_t sequence = 0);
void expect_bytes(const std::string& what, std::span<const std::byte> expected,
                  std::span<const std::byte> found);

// A text's UTF-8 bytes.
Bytes text_bytes(const std::string& text);
// The i-th of many requests, counted from 0.
Bytes request_text(std::uint64_t index);

}  // namespace zerobuffer::serve
