#include "serve/free_space.hpp"

#include "channel/ring.hpp"
#include "test.hpp"

using namespace zerobuffer;
using namespace zerobuffer::serve;
using namespace zerobuffer::test;

TEST(continuous_free_space_is_the_larger_piece) {
    struct Row {
        RingState state;
        std::uint64_t expected;
    };
    for (const Row& row : {Row{{10240, 5000, 2000}, 5240}, Row{{10240, 8000, 7000}, 7000},
                           Row{{10240, 2000, 5000}, 3000}, Row{{10240, 5000, 5000}, 5240},
                           Row{{10240, 0, 0}, 10240}, Row{{10240, 5000, 0}, 5240}}) {
        check_equal(row.expected, continuous_free_by_hand(row.state));
        check_equal(row.expected, continuous_free_by_ring(row.state));
    }
}

TEST(what_a_frame_needs_is_what_the_ring_says) {
    for (std::uint64_t position = 0; position < 128; ++position) {
        for (std::uint64_t total = FrameHeader::kSize + 1; total <= 128; ++total) {
            const auto placed = WriteRing(128, position).place(total - FrameHeader::kSize);
            const std::uint64_t needed = needed_by_hand(128, position, total);
            check_equal(placed.has_value(), needed <= 128);
            if (placed) check_equal(placed->need(), needed);
        }
    }
}

TEST(a_writer_takes_the_continuous_free_space_and_no_more) {
    const BufferName name(unique_name("free-space"));
    const auto empty = try_free_space(name, nullptr, {1024, 800, 800}, 800);
    check_equal("at 0", empty.exact);
    check_equal("FrameTooLarge", empty.one_more);
    const auto tried = try_free_space(name, nullptr, {1024, 800, 700}, 700);
    check_equal("at 0", tried.exact);
    check_equal("BufferFull", tried.one_more);
    const auto less = try_free_space(name, nullptr, {1024, 200, 700}, 400);
    check_equal("at 200", less.exact);
    check_equal("at 200", less.one_more);
    check_equal("BufferFull", try_free_space(name, nullptr, {1024, 200, 700}, 501).exact);
}
