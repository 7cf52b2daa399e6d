#include <fcntl.h>
#include <unistd.h>

#include <thread>

#include "channel/error.hpp"
#include "channel/reader.hpp"
#include "channel/segment.hpp"
#include "channel/semaphore.hpp"
#include "channel/writer.hpp"
#include "serve/allocation_count.hpp"
#include "test.hpp"

using namespace zerobuffer;
using namespace zerobuffer::test;

namespace {

constexpr Milliseconds kSoon{2000};
constexpr Milliseconds kNow{0};

struct Pair {
    explicit Pair(BlockSizes sizes = {64, 1024})
        : name(unique_name("pair")),
          reader(Reader::create(name, {sizes})),
          writer(Writer::connect(name)) {}

    BufferName name;
    Reader reader;
    Writer writer;
};

Frame next(Reader& reader) {
    auto frame = reader.read(kSoon);
    check(frame.has_value(), "expected a frame");
    return std::move(*frame);
}

std::vector<std::byte> of_size(std::size_t size, unsigned seed = 0) {
    std::vector<std::byte> data(size);
    for (std::size_t i = 0; i < size; ++i) data[i] = static_cast<std::byte>(i * 7 + seed);
    return data;
}

}  // namespace

TEST(a_frame_comes_whole_and_once) {
    Pair pair;
    check_equal(1U, pair.writer.write(bytes("hello")));
    Frame frame = next(pair.reader);
    check_equal("hello", text(frame.data()));
    check_equal(1U, frame.sequence());
    check(!pair.reader.read(kNow), "expected nothing more");
}

TEST(running_out_of_time_is_no_error) {
    Pair pair;
    const TimePoint start = Clock::now();
    check(!pair.reader.read(Milliseconds{150}), "expected nothing");
    check(elapsed_since(start) >= Milliseconds{150}, "expected to wait the time given");
}

TEST(a_spurious_wake_up_is_no_frame) {
    Pair pair;
    Semaphore::open(pair.name, pair.name.data_semaphore())->post();
    check(!pair.reader.read(Milliseconds{20}), "expected nothing");
    pair.writer.write(bytes("x"));
    check_equal("x", text(next(pair.reader).data()));
}

TEST(a_full_buffer_fails_the_write_after_its_time_out_and_no_later) {
    Pair pair;
    for (int i = 0; i < 4; ++i) pair.writer.write(of_size(240));
    pair.writer.set_write_timeout(Milliseconds{150});
    const TimePoint start = Clock::now();
    const auto full = check_throws<BufferFull>([&] { pair.writer.write(of_size(240)); });
    check(elapsed_since(start) >= Milliseconds{150}, "expected to wait the time given");
    check_time(start, Milliseconds{250});
    check_equal(0U, full.free);
    next(pair.reader).release();
    check_equal(5U, pair.writer.write(of_size(240)));
}

TEST(a_release_wakes_a_writer_that_waits) {
    Pair pair;
    for (int i = 0; i < 4; ++i) pair.writer.write(of_size(240));
    Frame first = next(pair.reader);
    std::jthread later([&] {
        std::this_thread::sleep_for(Milliseconds{20});
        first.release();
    });
    const TimePoint start = Clock::now();
    pair.writer.write(of_size(240));
    check_time(start, Milliseconds{90});
}

TEST(frames_too_large_for_the_ring_fail_at_once) {
    Pair pair;
    const auto error = check_throws<FrameTooLarge>([&] { pair.writer.write(of_size(1009)); });
    check_equal(1024U, error.capacity);
    check_equal(1U, pair.writer.write(of_size(500)));
    next(pair.reader).release();
    const TimePoint start = Clock::now();
    check_throws<FrameTooLarge>([&] { pair.writer.write(of_size(600)); });
    check_time(start, Milliseconds{50});
    check_throws<InvalidFrameSize>([&] { pair.writer.write({}); });
}

TEST(a_loan_that_is_dropped_leaves_no_trace) {
    Pair pair;
    {
        Loan loan = pair.writer.loan(100);
        check_throws<Error>([&] { pair.writer.loan(10); });
    }
    check(!pair.reader.read(kNow), "expected nothing");
    Loan loan = pair.writer.loan(3);
    std::copy_n(bytes("abc").data(), 3, loan.data().data());
    loan.commit();
    Frame frame = next(pair.reader);
    check_equal("abc", text(frame.data()));
    check_equal(1U, frame.sequence());
}

TEST(a_loan_of_a_closed_writer_is_not_sent) {
    Pair pair;
    Loan loan = pair.writer.loan(3);
    pair.writer.close();
    check_throws<Closed>([&] { loan.commit(); });
    check(!pair.reader.read(kNow), "expected nothing");
}

TEST(every_size_crosses_a_ring_that_wraps_all_the_time) {
    Pair pair({0, 1024});
    for (unsigned round = 0; round < 3; ++round) {
        for (std::size_t size = 1; size <= 400; ++size) {
            const auto data = of_size(size, round);
            pair.writer.write(data);
            check(std::ranges::equal(data, next(pair.reader).data()), "expected what was written");
        }
    }
    check_equal(0U, pair.reader.held());
}

TEST(a_reader_that_is_told_to_be_at_the_end_goes_on_at_the_beginning) {
    Pair pair;
    const Segment segment = Segment::open(pair.name);
    for (int round = 1; round <= 3; ++round) {
        pair.writer.write(of_size(1008));
        const Frame exact = next(pair.reader);
        check_equal(1024U, segment.field(Field::payload_read_pos).load());
        check_equal(1024U, pair.reader.held());
    }
    pair.writer.write(of_size(100));
    check(std::ranges::equal(of_size(100), next(pair.reader).data()), "expected what was written");
    check_equal(116U, segment.field(Field::payload_read_pos).load());
    check_equal(1024U, segment.field(Field::payload_free_bytes).load());
}

TEST(metadata_is_written_once) {
    Pair pair;
    check(!pair.reader.metadata(), "expected none yet");
    check_throws<InvalidFrameSize>([&] { pair.writer.set_metadata({}); });
    check_throws<MetadataTooLarge>([&] { pair.writer.set_metadata(of_size(57)); });
    pair.writer.set_metadata(of_size(56));
    check_throws<MetadataAlreadyWritten>([&] { pair.writer.set_metadata(of_size(1)); });
    check(pair.reader.metadata() == of_size(56), "expected the first");
}

TEST(a_writer_that_leaves_is_noticed_when_nothing_is_unread) {
    Pair pair;
    pair.writer.write(bytes("last"));
    pair.writer.close();
    check_equal("last", text(next(pair.reader).data()));
    const TimePoint start = Clock::now();
    check_throws<WriterDead>([&] { pair.reader.read(kSoon); });
    check_time(start, Milliseconds{200});
}

TEST(a_frame_whose_post_was_lost_is_read_once_its_writer_has_left) {
    Pair pair;
    pair.writer.write(bytes("x"));
    check(Semaphore::open(pair.name, pair.name.data_semaphore())->try_wait(), "expected a post");
    check(!pair.reader.read(Milliseconds{20}), "expected no frame without its post");
    pair.writer.close();
    check_equal("x", text(next(pair.reader).data()));
    check_throws<WriterDead>([&] { pair.reader.read(kNow); });
}

TEST(a_next_writer_begins_at_1_where_the_last_one_stopped) {
    Pair pair;
    for (int i = 0; i < 3; ++i) pair.writer.write(of_size(300));
    for (int i = 0; i < 3; ++i) next(pair.reader);
    pair.writer.close();
    pair.writer = Writer::connect(pair.name);
    pair.writer.write(bytes("anew"));
    Frame frame = next(pair.reader);
    check(frame.restarted(), "expected a restart");
    check_equal("anew", text(frame.data()));
}

TEST(the_next_writer_can_be_awaited) {
    Pair pair;
    pair.writer.write(bytes("x"));
    pair.writer.close();
    next(pair.reader);
    check_throws<WriterDead>([&] { pair.reader.read(kNow); });
    check_throws<WriterDead>([&] { pair.reader.read(kNow); });
    pair.reader.await_next_writer();
    check(!pair.reader.read(kNow), "expected to wait");
    pair.writer = Writer::connect(pair.name);
    pair.writer.close();
    check(!pair.reader.read(kNow), "expected not to see who wrote nothing");
}

TEST(there_is_one_writer_at_a_time) {
    Pair pair;
    check_throws<WriterAlreadyConnected>([&] { Writer::connect(pair.name); });
    pair.writer.write(bytes("x"));
    check_equal("x", text(next(pair.reader).data()));
}

TEST(there_is_one_reader_at_a_time) {
    Pair pair;
    check_throws<ReaderAlreadyConnected>([&] { Reader::create(pair.name, {}); });
    pair.writer.write(bytes("x"));
    check_equal("x", text(next(pair.reader).data()));
}

TEST(a_reader_that_leaves_ends_the_writer) {
    Pair pair;
    pair.reader.close();
    check_throws<ReaderDead>([&] { pair.writer.write(bytes("x")); });
    check_throws<BufferNotFound>([&] { Writer::connect(pair.name, {kNow}); });
}

TEST(closing_from_another_thread_ends_a_wait) {
    Pair pair;
    std::jthread closer([&] {
        std::this_thread::sleep_for(Milliseconds{20});
        pair.reader.close();
    });
    const TimePoint start = Clock::now();
    check_throws<Closed>([&] { pair.reader.read(kSoon); });
    check_time(start, Milliseconds{90});
}

TEST(holdings_close_what_was_made_under_them) {
    const BufferName name(unique_name("held"));
    const auto holdings = std::make_shared<Holdings>();
    Reader reader = Reader::create(name, {{64, 1024}, Sequences::consecutive, holdings});
    Writer writer = Writer::connect(name, {kSoon, kSoon, holdings});
    holdings->close_all();
    check(!identity_of(name.segment_path()), "expected the segment to be gone");
    check_throws<Closed>([&] { writer.write(bytes("x")); });
    check_throws<Closed>([&] { Reader::create(name, {{64, 1024}, {}, holdings}); });
}

TEST(a_space_semaphore_at_its_largest_value_harms_nobody) {
    Pair pair;
    Semaphore space = *Semaphore::open(pair.name, pair.name.space_semaphore());
    // Too many to post one by one: the value is the first word of the semaphore's file.
    const int fd = ::open(space.path().c_str(), O_RDWR | O_CLOEXEC);
    const std::uint32_t most = 0x7FFFFFFF;
    check_equal(4, ::pwrite(fd, &most, sizeof most, 0));
    ::close(fd);
    check_equal(0x7FFFFFFF, space.value());
    pair.writer.write(bytes("x"));
    const int drained = space.value();
    check(drained < 0x7FFFFFFF, "expected the writer to take some");
    next(pair.reader).release();
    check_equal(drained + 1, space.value());
}

TEST(the_space_semaphore_is_drained_by_every_write) {
    Pair pair;
    for (int i = 0; i < 10; ++i) {
        pair.writer.write(bytes("x"));
        next(pair.reader).release();
    }
    check_equal(1, Semaphore::open(pair.name, pair.name.space_semaphore())->value());
}

TEST(frames_cross_processes_in_order_and_whole) {
    const BufferName name(unique_name("fork"));
    constexpr unsigned kFrames = 20'000;
    Reader reader = Reader::create(name, {{64, 10240}});
    Child child([&] {
        Writer writer = Writer::connect(name);
        for (unsigned i = 1; i <= kFrames; ++i) writer.write(of_size(1 + i * 37 % 3000, i));
    });
    unsigned count = 0;
    const auto read_all = [&] {
        for (;;) {
            const Frame frame = next(reader);
            check_equal(++count, frame.sequence());
            check(std::ranges::equal(of_size(1 + count * 37 % 3000, count), frame.data()),
                  "expected what was written");
        }
    };
    check_throws<WriterDead>(read_all);
    check_equal(kFrames, count);
    check_equal(0, child.wait());
}

TEST(a_forked_child_removes_nothing) {
    Pair pair;
    Child child([&] {
        Reader inherited = std::move(pair.reader);
        Writer writing = std::move(pair.writer);
    });
    check_equal(0, child.wait());
    pair.writer.write(bytes("x"));
    check_equal("x", text(next(pair.reader).data()));
    check(identity_of(pair.name.lock_path()).has_value(), "expected the lock file to be there");
}

TEST(a_write_allocates_nothing_even_when_it_looks_after_its_reader) {
    Pair pair;
    for (const Milliseconds idle : {kNow, kTick + Milliseconds{10}}) {
        std::this_thread::sleep_for(idle);
        const serve::AllocationCount count;
        pair.writer.loan(100).commit();
        check_equal(0U, count.since());
    }
}
