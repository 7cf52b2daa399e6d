#pragma once
// How large a frame can be written at once, header included, found in three ways.

#include <cstdint>
#include <memory>
#include <string>

#include "channel/holdings.hpp"
#include "channel/name.hpp"

namespace zerobuffer::serve {

// A ring with everything between the read position and the write position unread; where they are
// the same, it is empty.
struct RingState {
    std::uint64_t capacity;
    std::uint64_t write_pos;
    std::uint64_t read_pos;

    std::uint64_t free_bytes() const noexcept {
        const bool ahead = write_pos >= read_pos;
        return ahead ? capacity - (write_pos - read_pos) : read_pos - write_pos;
    }
};

// The continuous free space: the largest piece, header included, that can be written in one without
// waiting for the reader. It begins at the write position, or, if that is more, at 0.
std::uint64_t continuous_free_by_hand(const RingState& state);

// The same, by trying all sizes with the library's ring arithmetic.
std::uint64_t continuous_free_by_ring(const RingState& state);

// How many bytes have to be free for a frame of `total` bytes, header included: with what is left
// before the end, where the frame does not fit there or would leave too little for a header.
std::uint64_t needed_by_hand(std::uint64_t capacity, std::uint64_t write_pos, std::uint64_t total);

// What a writer does to a segment in this state.
struct FreeSpaceTried {
    // Where the header of a frame of the expected size stands; or why it was not written.
    std::string exact;
    // What came of a frame of one byte more.
    std::string one_more;
};

// One state, and the size that was found in each way.
struct FreeSpaceRow {
    std::string scenario;
    RingState state;
    std::uint64_t by_hand;
    std::uint64_t by_ring;
    FreeSpaceTried tried;
};

// Makes the buffer, twice, puts it into the state, and writes.
FreeSpaceTried try_free_space(const BufferName& name, const std::shared_ptr<Holdings>& holdings,
                              const RingState& state, std::uint64_t total);

}  // namespace zerobuffer::serve
