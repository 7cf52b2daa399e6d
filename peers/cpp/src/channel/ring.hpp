#pragma once
// The arithmetic of the ring: positions, space, wraps, the order of release. No shared memory in
// it; what the segment says comes in as numbers.

#include <cstdint>
#include <deque>
#include <optional>

#include "channel/layout.hpp"

namespace zerobuffer {

// Where a frame goes.
struct Placement {
    std::uint64_t offset;   // of its header
    std::uint64_t skipped;  // bytes left unused before the end, because it wraps
    std::uint64_t total;    // header and data

    std::uint64_t need() const noexcept { return skipped + total; }
};

// The writer's side.
class WriteRing {
public:
    WriteRing(std::uint64_t capacity, std::uint64_t position) noexcept
        : capacity_(capacity), position_(position == capacity ? 0 : position) {}

    // Nothing when no waiting makes room for a frame of `size` bytes.
    std::optional<Placement> place(std::uint64_t size) const noexcept;
    void advance(const Placement& placement) noexcept;

    std::uint64_t position() const noexcept { return position_; }
    std::uint64_t capacity() const noexcept { return capacity_; }

private:
    std::uint64_t capacity_;
    std::uint64_t position_;
};

// Which sequence numbers a reader accepts. A 1 is always accepted: a writer has begun anew.
enum class Sequences {
    consecutive,
    increasing,  // answers: a number may be missing, because its handler failed
};

// A frame that has been taken from the ring and not yet given back.
struct Slot {
    std::uint64_t data_offset;
    std::uint64_t size;
    std::uint64_t sequence;
    std::uint64_t ticket;
    bool restarted;  // sequence 1 where another was expected
};

// What stands at the read position.
enum class Finding { frame, wrap, corrupt, out_of_sequence };

struct Judgement {
    Finding finding;
    const char* reason = "";
};

// The reader's side.
class ReadRing {
public:
    ReadRing(std::uint64_t capacity, Sequences sequences) noexcept
        : capacity_(capacity), sequences_(sequences) {}

    // Bytes that are written and not read; nothing when that cannot be.
    std::optional<std::uint64_t> unread(std::uint64_t free_bytes) const noexcept;

    // Whether too little is left before the end for a header; then nothing may be read there.
    bool at_short_tail() const noexcept { return capacity_ - position() < FrameHeader::kSize; }
    Judgement judge_tail(std::uint64_t unread) const noexcept;
    Judgement judge(const FrameHeader& header, std::uint64_t unread) const noexcept;

    // Goes to the beginning; returns the bytes that can be given back now.
    std::uint64_t wrap();
    // Takes the frame that `judge` found.
    Slot take(const FrameHeader& header);
    // Gives a frame back; returns the bytes that can be given back now. Frames are given back in
    // the order they were taken, because the writer knows only a number of bytes.
    std::uint64_t release(std::uint64_t ticket) noexcept;

    // Where the next header stands.
    std::uint64_t position() const noexcept { return end_ == capacity_ ? 0 : end_; }
    // Where the last frame ended, for the writer to see. Behind one that ended with the ring this is
    // the ring's end: some writers take a reader at 0 for one that has not left the beginning yet.
    std::uint64_t end() const noexcept { return end_; }
    std::uint64_t held() const noexcept { return held_; }
    std::uint64_t expected() const noexcept { return expected_; }

private:
    struct Piece {
        std::uint64_t bytes;
        bool released;
    };

    std::uint64_t flush() noexcept;
    bool accepts(std::uint64_t sequence) const noexcept;

    std::uint64_t capacity_;
    Sequences sequences_;
    std::uint64_t end_ = 0;
    std::uint64_t held_ = 0;
    std::uint64_t expected_ = 1;
    bool just_wrapped_ = false;
    std::deque<Piece> pieces_;
    std::uint64_t first_ticket_ = 0;
};

}  // namespace zerobuffer
