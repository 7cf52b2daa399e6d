#include "channel/ring.hpp"

namespace zerobuffer {

std::optional<Placement> WriteRing::place(std::uint64_t size) const noexcept {
    if (capacity_ < FrameHeader::kSize || size > capacity_ - FrameHeader::kSize) {
        return std::nullopt;
    }
    const std::uint64_t total = FrameHeader::kSize + size;
    const std::uint64_t to_end = capacity_ - position_;
    // In no case larger than twice the capacity, and capacities have 62 bits at most.
    const bool wrapped_fits = to_end + total <= capacity_;
    if (to_end < total) {
        if (!wrapped_fits) return std::nullopt;
        return Placement{0, to_end, total};
    }
    // A tail too short for a header: some readers would read one across the end. Wrapping early
    // avoids it, where the ring is large enough for that.
    const std::uint64_t tail = to_end - total;
    if (tail > 0 && tail < FrameHeader::kSize && wrapped_fits) return Placement{0, to_end, total};
    return Placement{position_, 0, total};
}

void WriteRing::advance(const Placement& placement) noexcept {
    position_ = placement.offset + placement.total;
    if (position_ == capacity_) position_ = 0;
}

std::optional<std::uint64_t> ReadRing::unread(std::uint64_t free_bytes) const noexcept {
    if (free_bytes > capacity_ || held_ > capacity_ - free_bytes) return std::nullopt;
    return capacity_ - free_bytes - held_;
}

Judgement ReadRing::judge_tail(std::uint64_t unread) const noexcept {
    if (just_wrapped_) return {Finding::corrupt, "a wrap behind a wrap"};
    if (capacity_ - position() > unread) {
        return {Finding::corrupt, "a wrap over more bytes than were written"};
    }
    return {Finding::wrap};
}

Judgement ReadRing::judge(const FrameHeader& header, std::uint64_t unread) const noexcept {
    if (header.is_wrap_marker()) return judge_tail(unread);
    if (!accepts(header.sequence)) return {Finding::out_of_sequence};
    if (header.size == 0) return {Finding::corrupt, "a frame of 0 bytes"};
    if (header.size > capacity_ - position() - FrameHeader::kSize) {
        return {Finding::corrupt, "a frame that reaches over the end of the ring"};
    }
    if (FrameHeader::kSize + header.size > unread) {
        return {Finding::corrupt, "a frame larger than what was written"};
    }
    return {Finding::frame};
}

std::uint64_t ReadRing::wrap() {
    const std::uint64_t skipped = capacity_ - position();
    pieces_.push_back({skipped, true});
    held_ += skipped;
    end_ = 0;
    just_wrapped_ = true;
    return flush();
}

Slot ReadRing::take(const FrameHeader& header) {
    const std::uint64_t total = FrameHeader::kSize + header.size;
    const Slot slot{position() + FrameHeader::kSize, header.size, header.sequence,
                    first_ticket_ + pieces_.size(), header.sequence == 1 && expected_ != 1};
    pieces_.push_back({total, false});
    held_ += total;
    end_ = position() + total;
    just_wrapped_ = false;
    expected_ = header.sequence + 1;
    return slot;
}

std::uint64_t ReadRing::release(std::uint64_t ticket) noexcept {
    pieces_[ticket - first_ticket_].released = true;
    return flush();
}

std::uint64_t ReadRing::flush() noexcept {
    std::uint64_t bytes = 0;
    while (!pieces_.empty() && pieces_.front().released) {
        bytes += pieces_.front().bytes;
        pieces_.pop_front();
        ++first_ticket_;
    }
    held_ -= bytes;
    return bytes;
}

bool ReadRing::accepts(std::uint64_t sequence) const noexcept {
    if (sequence == 1 || sequence == expected_) return true;
    return sequences_ == Sequences::increasing && sequence > expected_;
}

}  // namespace zerobuffer
