#include "serve/free_space.hpp"

#include <algorithm>

#include "channel/reader.hpp"
#include "channel/ring.hpp"
#include "channel/writer.hpp"
#include "serve/attempt.hpp"
#include "serve/raw_buffer.hpp"

namespace zerobuffer::serve {

namespace {

constexpr Milliseconds kConnectTimeout{1000};

// Writes a frame of `total` bytes into a fresh buffer in this state; tells where its header is.
std::string write_into(const BufferName& name, const std::shared_ptr<Holdings>& holdings,
                       const RingState& state, std::uint64_t total) {
    const Reader reader =
        Reader::create(name, {{0, state.capacity}, Sequences::consecutive, holdings});
    RawBuffer raw(name);
    raw.set_field(Field::payload_write_pos, state.write_pos);
    raw.set_field(Field::payload_read_pos, state.read_pos);
    raw.set_field(Field::payload_free_bytes, state.free_bytes());
    Writer writer = Writer::connect(name, {kConnectTimeout, Milliseconds{0}, holdings});
    try {
        writer.write(pattern(total - FrameHeader::kSize));
    } catch (...) {
        return kind_of(std::current_exception());
    }
    for (const std::uint64_t position : {state.write_pos, std::uint64_t{0}}) {
        const FrameHeader header = raw.header_at(position);
        if (header.size == total - FrameHeader::kSize && header.sequence == 1) {
            return "at " + std::to_string(position);
        }
    }
    return "nowhere";
}

}  // namespace

std::uint64_t continuous_free_by_hand(const RingState& state) {
    // Behind the write position, up to what is unread or to the end.
    if (state.write_pos < state.read_pos) return state.read_pos - state.write_pos;
    const std::uint64_t behind = state.capacity - state.write_pos;
    // In front, up to what is unread: a frame there skips all that is behind.
    const std::uint64_t in_front = state.read_pos;
    return std::max(behind, in_front);
}

std::uint64_t continuous_free_by_ring(const RingState& state) {
    const WriteRing ring(state.capacity, state.write_pos);
    std::uint64_t most = 0;
    for (std::uint64_t total = FrameHeader::kSize + 1; total <= state.capacity; ++total) {
        const auto placement = ring.place(total - FrameHeader::kSize);
        if (placement && placement->need() <= state.free_bytes()) most = total;
    }
    return most;
}

std::uint64_t needed_by_hand(std::uint64_t capacity, std::uint64_t write_pos, std::uint64_t total) {
    const std::uint64_t behind = capacity - write_pos % capacity;
    if (total > behind) return behind + total;
    const std::uint64_t left = behind - total;
    const bool short_tail = left > 0 && left < FrameHeader::kSize;
    return short_tail && behind + total <= capacity ? behind + total : total;
}

FreeSpaceTried try_free_space(const BufferName& name, const std::shared_ptr<Holdings>& holdings,
                              const RingState& state, std::uint64_t total) {
    return {write_into(name, holdings, state, total), write_into(name, holdings, state, total + 1)};
}

}  // namespace zerobuffer::serve
