#include "serve/background_writing.hpp"

#include "channel/reader.hpp"
#include "serve/check.hpp"
#include "serve/pace.hpp"
#include "serve/test_data.hpp"
#include "serve/writer_role.hpp"
#include "test.hpp"

using namespace zerobuffer;
using namespace zerobuffer::serve;
using namespace zerobuffer::test;

namespace {

constexpr Milliseconds kSoon{5000};
constexpr FramePlan kFrame{500, Fill::own_sequence};

struct Ring {
    explicit Ring(const std::string& base)
        : name(unique_name(base)),
          reader(Reader::create(name, {{0, 1024}})),
          role(name, Writer::connect(name)) {}

    void wait_until_it_waits() const {
        const TimePoint start = Clock::now();
        while (!role.progress().waiting_since) check(elapsed_since(start) < kSoon, "expected a wait");
    }
    void read() {
        const auto frame = reader.read(kSoon);
        check(frame.has_value(), "expected a frame");
        expect_pattern("frame", frame->data(), frame->sequence());
    }

    BufferName name;
    Reader reader;
    WriterRole role;
};

}  // namespace

TEST(a_write_that_finds_room_does_not_go_on_in_the_background) {
    Ring ring("room");
    ring.role.write_or_wait(kFrame);
    check(!ring.role.last().waited_at, "expected no wait");
    check_equal(1U, ring.role.written());
    ring.read();
}

TEST(a_write_without_room_goes_on_and_is_waited_for) {
    Ring ring("no-room");
    ring.role.write_or_wait(kFrame);
    ring.role.write_or_wait({400, Fill::own_sequence});
    ring.role.write_or_wait(kFrame);
    ring.wait_until_it_waits();
    for (int i = 0; i < 2; ++i) ring.read();
    ring.role.settle();
    check_equal(932U, ring.role.last().waited_at.value());
    check_equal(3U, ring.role.last().sequence);
    check_equal(3U, ring.role.written());
    ring.read();
}

TEST(a_write_that_fails_in_the_background_is_told_of) {
    Ring ring("failing");
    ring.role.write(kFrame);
    ring.role.write({400, Fill::plain});
    ring.role.write_or_wait(kFrame);
    ring.wait_until_it_waits();
    ring.reader.close();
    const auto failure = check_throws<StepFailure>([&] { ring.role.writer(); });
    check(std::string(failure.what()).find("ReaderDead") != std::string::npos,
          std::string("expected the reason, found ") + failure.what());
}

TEST(writing_without_end_ends_when_it_is_settled) {
    Ring ring("endless");
    ring.role.write_on({kFrame});
    ring.wait_until_it_waits();
    check(ring.role.writes_without_end(), "expected no end");
    std::this_thread::sleep_for(Milliseconds{30});
    for (int i = 0; i < 10; ++i) ring.read();
    ring.role.settle();
    check(!ring.role.writes_without_end(), "expected an end");
    const WritingProgress progress = ring.role.progress();
    check(progress.was_full, "expected a full ring");
    check(progress.took_at_least(Milliseconds{30}) >= 1, "expected the time of the wait");
    check_equal(ring.role.written(), ring.role.raw().unread().frames + 10);
}

TEST(a_writer_is_held_to_a_pace_by_most_of_its_writes) {
    constexpr Milliseconds kPace{100};
    const auto progress = [](std::size_t slow, std::size_t quick) {
        WritingProgress progress{.was_full = true};
        progress.times.assign(slow, Milliseconds{50});
        progress.times.insert(progress.times.end(), quick, Milliseconds{49});
        return progress;
    };
    expect_held_to(kPace, 15, progress(15, 5));
    expect_held_to(kPace, 15, progress(15, 15));
    for (const WritingProgress& wrong :
         {progress(1, 19), progress(14, 0), progress(15, 16), WritingProgress{}}) {
        check_throws<StepFailure>([&] { expect_held_to(kPace, 15, wrong); });
    }
    // A reader without a pace holds nobody up.
    WritingProgress quick{.was_full = true};
    quick.times.assign(20, Milliseconds{1});
    check_throws<StepFailure>([&] { expect_held_to(Milliseconds{0}, 15, quick); });
}

TEST(a_marker_that_is_not_written_would_show) {
    Ring ring("spoilt");
    ring.role.write_or_wait(kFrame);
    ring.role.write_or_wait({400, Fill::own_sequence});
    ring.role.write_or_wait(kFrame);
    check(ring.role.raw().header_at(932).size != 0, "expected no marker yet, nor zeros");
    for (int i = 0; i < 2; ++i) ring.read();
    ring.role.settle();
    check(ring.role.raw().header_at(932).is_wrap_marker(), "expected a marker");
}

TEST(a_counted_number_of_frames_is_written_and_the_writer_leaves) {
    Ring ring("counted");
    ring.role.write_on({kFrame, 20, true});
    for (int i = 0; i < 20; ++i) ring.read();
    ring.role.settle();
    check_equal(20U, ring.role.written());
    check(!ring.reader.has_writer(), "expected the writer to leave");
}

TEST(a_role_that_goes_ends_its_background) {
    const TimePoint start = Clock::now();
    {
        Ring ring("going");
        ring.role.write_on({kFrame});
        ring.wait_until_it_waits();
    }
    check(elapsed_since(start) < Milliseconds{2000}, "expected a quick end");
}
