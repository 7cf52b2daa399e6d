#pragma once
// Where things stand in the segment:
// [operation information exchange block, 128 bytes][metadata block][payload block].

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "channel/name.hpp"

namespace zerobuffer {

static_assert(std::endian::native == std::endian::little, "the segment is little-endian");

inline constexpr std::uint64_t kOiebSize = 128;
inline constexpr std::uint64_t kBlockAlignment = 64;
inline constexpr std::uint64_t kMetadataPrefix = 8;
inline constexpr std::uint32_t kMajorVersion = 1;

// The 64-bit fields of the block, by their offsets.
enum class Field : std::size_t {
    metadata_size = 0x08,
    metadata_free_bytes = 0x10,
    metadata_written_bytes = 0x18,
    payload_size = 0x20,
    payload_free_bytes = 0x28,
    payload_write_pos = 0x30,
    payload_read_pos = 0x38,
    payload_written_count = 0x40,
    payload_read_count = 0x48,
    writer_pid = 0x50,
    reader_pid = 0x58,
};

// The first two fields are of 32 bits: the block's size, and the version's bytes, major first.
inline constexpr std::size_t kOiebSizeOffset = 0x00;
inline constexpr std::size_t kVersionOffset = 0x04;

struct FrameHeader {
    static constexpr std::uint64_t kSize = 16;

    std::uint64_t size = 0;
    std::uint64_t sequence = 0;

    bool is_wrap_marker() const noexcept { return size == 0 && sequence == 0; }
};

// Headers stand at any address, so they are copied, never referred to.
inline FrameHeader load_header(const std::byte* at) noexcept {
    FrameHeader header;
    std::memcpy(&header.size, at, sizeof header.size);
    std::memcpy(&header.sequence, at + sizeof header.size, sizeof header.sequence);
    return header;
}

inline void store_header(std::byte* at, const FrameHeader& header) noexcept {
    std::memcpy(at, &header.size, sizeof header.size);
    std::memcpy(at + sizeof header.size, &header.sequence, sizeof header.sequence);
}

// Sizes of the two blocks, in bytes.
struct BlockSizes {
    std::uint64_t metadata = 4096;
    std::uint64_t payload = 1024 * 1024;

    // Rounded up to whole blocks. Throws InvalidSize where no segment can have them.
    BlockSizes rounded(const BufferName& name) const;

    // Of the whole segment. Only for sizes that `rounded` gave.
    std::uint64_t segment() const noexcept { return kOiebSize + metadata + payload; }
};

}  // namespace zerobuffer
