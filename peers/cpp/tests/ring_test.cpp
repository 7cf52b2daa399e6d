#include "channel/ring.hpp"

#include <deque>
#include <random>

#include "test.hpp"

using namespace zerobuffer;
using namespace zerobuffer::test;

namespace {

Placement placed(const WriteRing& ring, std::uint64_t size) {
    const auto placement = ring.place(size);
    check(placement.has_value(), "expected a place for " + std::to_string(size) + " bytes");
    return *placement;
}

void check_placement(const Placement& placement, std::uint64_t offset, std::uint64_t skipped) {
    check_equal(offset, placement.offset);
    check_equal(skipped, placement.skipped);
}

Slot taken(ReadRing& ring, std::uint64_t size, std::uint64_t sequence) {
    const FrameHeader header{size, sequence};
    check(ring.judge(header, 16 + size).finding == Finding::frame, "expected a frame");
    return ring.take(header);
}

}  // namespace

TEST(a_frame_that_fits_exactly_leaves_the_position_at_0) {
    WriteRing ring(1024, 0);
    ring.advance(placed(ring, 500));
    check_equal(516U, ring.position());
    const auto placement = placed(ring, 1024 - 516 - 16);
    check_placement(placement, 516, 0);
    ring.advance(placement);
    check_equal(0U, ring.position());
}

TEST(a_position_at_the_end_is_read_as_0) { check_equal(0U, WriteRing(1024, 1024).position()); }

TEST(a_frame_without_room_before_the_end_wraps_and_needs_the_tail_too) {
    const WriteRing ring(1024, 900);
    const auto placement = placed(ring, 200);
    check_placement(placement, 0, 124);
    check_equal(124U + 216U, placement.need());
}

TEST(a_short_tail_is_avoided_by_wrapping_early) {
    const WriteRing ring(1024, 512);
    for (std::uint64_t tail = 1; tail < 16; ++tail) {
        check_placement(placed(ring, 512 - 16 - tail), 0, 512);
    }
    check_placement(placed(ring, 512 - 16 - 16), 512, 0);
    check_placement(placed(ring, 512 - 16), 512, 0);
}

TEST(a_short_tail_stays_where_the_ring_is_too_small_to_avoid_it) {
    check_placement(placed(WriteRing(1024, 0), 1024 - 16 - 8), 0, 0);
    // 600 bytes to the end and 592 from the beginning are more than there are.
    check_placement(placed(WriteRing(1024, 424), 600 - 16 - 8), 424, 0);
}

TEST(behind_a_short_tail_the_next_frame_wraps_over_it) {
    check_placement(placed(WriteRing(1024, 1016), 100), 0, 8);
}

TEST(more_than_half_of_the_ring_can_be_too_large_where_it_would_wrap) {
    check(WriteRing(1024, 0).place(600).has_value(), "room at the beginning");
    // A 500-byte frame was written and read: 508 to the end, and 616 needed.
    check(!WriteRing(1024, 516).place(600), "no waiting cures this");
}

TEST(sizes_beyond_the_ring_have_no_place) {
    check(!WriteRing(64, 0).place(49), "one byte too many");
    check(WriteRing(64, 0).place(48).has_value(), "the largest that fits");
    check(!WriteRing(1024, 0).place(~std::uint64_t{0}), "a size whose total overflows");
    check(!WriteRing(8, 0).place(1), "a ring smaller than a header");
}

TEST(frames_are_given_back_in_the_order_they_were_taken) {
    ReadRing ring(1024, Sequences::consecutive);
    const Slot first = taken(ring, 84, 1);
    const Slot second = taken(ring, 184, 2);
    const Slot third = taken(ring, 284, 3);
    check_equal(600U, ring.held());
    check_equal(0U, ring.release(second.ticket));
    check_equal(300U, ring.release(first.ticket));
    check_equal(300U, ring.release(third.ticket));
    check_equal(0U, ring.held());
}

TEST(a_tail_is_given_back_behind_frames_that_are_held) {
    ReadRing ring(1024, Sequences::consecutive);
    const Slot held = taken(ring, 884, 1);
    check_equal(0U, ring.wrap());
    check_equal(1024U, ring.held());
    check_equal(0U, ring.position());
    check_equal(1024U, ring.release(held.ticket));
}

TEST(a_tail_is_given_back_at_once_where_nothing_is_held) {
    ReadRing ring(1024, Sequences::consecutive);
    ring.release(taken(ring, 884, 1).ticket);
    check_equal(124U, ring.wrap());
}

TEST(a_frame_that_ends_with_the_ring_is_told_of_as_its_end) {
    ReadRing ring(1024, Sequences::consecutive);
    const Slot first = taken(ring, 1008, 1);
    check_equal(1024U, ring.end());
    check_equal(0U, ring.position());
    check(!ring.at_short_tail(), "expected a header at the beginning");
    check_equal(1024U, ring.release(first.ticket));
    const Slot second = taken(ring, 84, 2);
    check_equal(16U, second.data_offset);
    check_equal(100U, ring.end());
    check_equal(100U, ring.position());
}

TEST(behind_a_wrap_the_beginning_is_told) {
    ReadRing ring(1024, Sequences::consecutive);
    taken(ring, 884, 1);
    ring.wrap();
    check_equal(0U, ring.end());
}

TEST(what_no_writer_writes_is_found_corrupt) {
    ReadRing ring(1024, Sequences::consecutive);
    const auto finding = [&ring](FrameHeader header, std::uint64_t unread) {
        return ring.judge(header, unread).finding;
    };
    check(finding({0, 1}, 1024) == Finding::corrupt, "a frame of 0 bytes is no marker");
    check(finding({1009, 1}, 1024) == Finding::corrupt, "over the end");
    check(finding({~std::uint64_t{0}, 1}, 1024) == Finding::corrupt, "a size that overflows");
    check(finding({100, 1}, 115) == Finding::corrupt, "more than was written");
    check(finding({100, 3}, 1024) == Finding::out_of_sequence, "a gap");
    check(finding({100, 0}, 1024) == Finding::out_of_sequence, "no sequence at all");
    check(finding({0, 0}, 1000) == Finding::corrupt, "a marker over more than was written");
    check(finding({0, 0}, 1024) == Finding::wrap, "a marker");
    ring.wrap();
    check(finding({0, 0}, 1024) == Finding::corrupt, "a second marker");
    check(!ring.unread(1025).has_value(), "more free than there is");
}

TEST(a_sequence_may_begin_anew) {
    ReadRing ring(1024, Sequences::consecutive);
    check(!taken(ring, 10, 1).restarted, "the first of all");
    taken(ring, 10, 2);
    check(taken(ring, 10, 1).restarted, "the first of another writer");
    check_equal(2U, ring.expected());
}

TEST(answers_may_be_missing_but_never_come_twice) {
    ReadRing ring(1024, Sequences::increasing);
    taken(ring, 10, 1);
    taken(ring, 10, 4);
    check(ring.judge({10, 4}, 1024).finding == Finding::out_of_sequence, "twice");
    check(ring.judge({10, 3}, 1024).finding == Finding::out_of_sequence, "late");
}

namespace {

// A ring whose two sides are run against each other, with each byte's owner written down.
class Model {
public:
    explicit Model(std::uint64_t capacity)
        : capacity_(capacity), free_(capacity), owned_(capacity, false),
          writer_(capacity, 0), reader_(capacity, Sequences::consecutive) {}

    void try_write(std::uint64_t size) {
        const auto placement = writer_.place(size);
        if (!placement || placement->need() > free_) return;
        if (placement->skipped > 0) on_the_way_.push_back({writer_.position(), {0, 0}});
        for (std::uint64_t i = 0; i < placement->total; ++i) {
            check(!owned_[placement->offset + i], "a byte that is still borrowed was overwritten");
            owned_[placement->offset + i] = true;
        }
        on_the_way_.push_back({placement->offset, {size, ++sequence_}});
        free_ -= placement->need();
        writer_.advance(*placement);
    }

    void try_read() {
        while (!on_the_way_.empty()) {
            const auto [offset, header] = on_the_way_.front();
            on_the_way_.pop_front();
            check_equal(offset, reader_.position());
            const auto unread = reader_.unread(free_);
            check(unread && *unread > 0, "something is unread");
            const bool wraps = reader_.at_short_tail() || header.is_wrap_marker();
            check_equal(header.is_wrap_marker(), wraps);
            if (!wraps) {
                check(reader_.judge(header, *unread).finding == Finding::frame, "a frame");
                held_.push_back({reader_.take(header), offset});
                return;
            }
            check(reader_.judge({0, 0}, *unread).finding == Finding::wrap, "a wrap");
            give_back(reader_.wrap());
        }
    }

    void try_release(std::size_t which) {
        if (held_.empty()) return;
        const auto at = held_.begin() + static_cast<std::ptrdiff_t>(which % held_.size());
        for (std::uint64_t i = 0; i < 16 + at->first.size; ++i) owned_[at->second + i] = false;
        give_back(reader_.release(at->first.ticket));
        held_.erase(at);
    }

    void finish() {
        while (!held_.empty() || !on_the_way_.empty()) {
            try_read();
            try_release(0);
        }
        check_equal(capacity_, free_);
    }

private:
    void give_back(std::uint64_t bytes) {
        free_ += bytes;
        check(free_ <= capacity_, "no more is free than there is");
    }

    std::uint64_t capacity_;
    std::uint64_t free_;
    std::uint64_t sequence_ = 0;
    std::vector<bool> owned_;
    WriteRing writer_;
    ReadRing reader_;
    std::deque<std::pair<std::uint64_t, FrameHeader>> on_the_way_;
    std::deque<std::pair<Slot, std::uint64_t>> held_;
};

}  // namespace

TEST(no_order_of_writes_reads_and_releases_overwrites_what_is_borrowed) {
    std::mt19937 random(1);
    for (const std::uint64_t capacity : {64, 128, 256, 1024, 4096}) {
        Model model(capacity);
        for (int i = 0; i < 20'000; ++i) {
            switch (random() % 3) {
                case 0:
                    model.try_write(1 + random() % (capacity - 16));
                    break;
                case 1:
                    model.try_read();
                    break;
                default:
                    model.try_release(random());
            }
        }
        model.finish();
    }
}
