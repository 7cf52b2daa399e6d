#include <unistd.h>

#include <algorithm>
#include <thread>

#include "channel/error.hpp"
#include "channel/process.hpp"
#include "channel/reader.hpp"
#include "channel/segment.hpp"
#include "channel/writer.hpp"
#include "test.hpp"

using namespace zerobuffer;
using namespace zerobuffer::test;

namespace {

constexpr Milliseconds kSoon{5000};
constexpr Milliseconds kNoticed{200};

void sleep_for_ever() {
    for (;;) ::pause();
}

// A child that writes `frames` frames, does something more, and is killed by then.
void write_and_die(const BufferName& name, int frames, const std::function<void(Writer&)>& more) {
    Signal written;
    Child child([&] {
        Writer writer = Writer::connect(name);
        for (int i = 0; i < frames; ++i) writer.write(bytes("frame"));
        more(writer);
        written.give();
        sleep_for_ever();
    });
    written.await();
    child.kill();
    check_equal(128 + 9, child.wait());
}

void check_buffer_is_sound(const BufferName& name, Reader& reader) {
    Writer writer = Writer::connect(name);
    for (int i = 0; i < 100; ++i) {
        writer.write(bytes("as new"));
        const auto frame = reader.read(kSoon);
        check(frame && text(frame->data()) == "as new", "expected what was written");
    }
    const Segment segment = Segment::open(name);
    check_equal(segment.payload().size(), segment.field(Field::payload_free_bytes).load());
}

}  // namespace

TEST(a_zombie_is_dead) {
    const BufferName name(unique_name("zombie"));
    Reader reader = Reader::create(name, {{64, 1024}});
    Signal attached;
    Child writing([&] {
        Writer writer = Writer::connect(name);
        attached.give();
        sleep_for_ever();
    });
    attached.await();
    const Process process(Segment::open(name).field(Field::writer_pid).load());
    check(process.alive(), "expected it to live");
    writing.kill();
    const TimePoint start = Clock::now();
    while (process.alive()) check_time(start, kNoticed);
}

TEST(ids_that_no_process_has_are_dead) {
    for (const std::uint64_t pid : {std::uint64_t{0}, ~std::uint64_t{0}, std::uint64_t{1} << 31}) {
        check(!Process(pid).alive(), "expected it to be dead");
    }
    check(Process(static_cast<std::uint64_t>(::getpid())).alive(), "expected us to live");
    check(Process(static_cast<std::uint64_t>(::getppid())).alive(), "expected our parent to live");
}

TEST(a_dead_writers_frames_are_read_before_its_death_is_told) {
    const BufferName name(unique_name("dead-writer"));
    Reader reader = Reader::create(name, {{64, 1024}});
    write_and_die(name, 3, [](Writer&) {});
    for (int i = 0; i < 3; ++i) check(reader.read(kSoon).has_value(), "expected a frame");
    const TimePoint start = Clock::now();
    check_throws<WriterDead>([&] { reader.read(kSoon); });
    check_time(start, kNoticed);
    check_buffer_is_sound(name, reader);
}

TEST(a_writers_death_is_noticed_in_a_wait) {
    const BufferName name(unique_name("dying-writer"));
    Reader reader = Reader::create(name, {{64, 1024}});
    Signal attached;
    Child child([&] {
        Writer writer = Writer::connect(name);
        attached.give();
        sleep_for_ever();
    });
    attached.await();
    TimePoint killed{};
    std::jthread killer([&] {
        std::this_thread::sleep_for(Milliseconds{50});
        killed = Clock::now();
        child.kill();
    });
    check_throws<WriterDead>([&] { reader.read(kSoon); });
    killer.join();
    check_time(killed, kNoticed);
}

TEST(a_dead_writers_buffer_that_is_closed_is_not_waited_for) {
    const BufferName name(unique_name("closing"));
    Reader reader = Reader::create(name, {{64, 1024}});
    write_and_die(name, 1, [](Writer&) {});
    Connector connector(name);
    check_throws<NotReady>([&] { connector.attempt(); });
    check(connector.awaits_recovery(), "expected the account to be waited for");
    // Instead of another attempt in the time that its reader has.
    check(reader.read(kSoon).has_value(), "expected the frame");
    check_throws<WriterDead>([&] { reader.read(kSoon); });
    reader.close();
    check_throws<BufferNotFound>([&] { connector.attempt(); });
    check(!connector.awaits_recovery(), "expected that nothing is waited for any more");
}

TEST(the_account_of_a_writer_killed_inside_a_write_is_settled) {
    const BufferName name(unique_name("torn-write"));
    Reader reader = Reader::create(name, {{64, 1024}});
    // Some writers take the space first, then write, then post.
    write_and_die(name, 2, [&](Writer&) {
        const Segment segment = Segment::open(name);
        segment.field(Field::payload_free_bytes).fetch_sub(200);
        segment.field(Field::payload_write_pos).store(777);
    });
    auto held = reader.read(kSoon);
    check(held && reader.read(kSoon), "expected both frames");
    check_throws<WriterDead>([&] { reader.read(kSoon); });
    const Segment segment = Segment::open(name);
    check_equal(1024U - reader.held(), segment.field(Field::payload_free_bytes).load());
    held.reset();
    check_buffer_is_sound(name, reader);
}

TEST(the_account_is_settled_at_the_end_of_the_ring_too) {
    const BufferName name(unique_name("torn-at-the-end"));
    Reader reader = Reader::create(name, {{64, 1024}});
    write_and_die(name, 0, [&](Writer& writer) {
        writer.write(std::vector<std::byte>(1008));
        Segment::open(name).field(Field::payload_write_pos).store(777);
    });
    check(reader.read(kSoon).has_value(), "expected the frame");
    check_throws<WriterDead>([&] { reader.read(kSoon); });
    const Segment segment = Segment::open(name);
    check_equal(segment.field(Field::payload_read_pos).load(),
                segment.field(Field::payload_write_pos).load());
    check_buffer_is_sound(name, reader);
}

TEST(a_writer_killed_while_it_fills_a_loan_leaves_no_trace) {
    const BufferName name(unique_name("filling"));
    Reader reader = Reader::create(name, {{64, 1024}});
    const auto all_free = [&name] {
        const Segment segment = Segment::open(name);
        return segment.field(Field::payload_free_bytes).load() == segment.payload().size() &&
               segment.field(Field::payload_write_pos).load() == 0;
    };
    Signal filled;
    Child child([&] {
        Writer writer = Writer::connect(name);
        const Loan loan = writer.loan(500);
        std::fill(loan.data().begin(), loan.data().end(), std::byte{0xFF});
        filled.give();
        sleep_for_ever();
    });
    filled.await();
    check(all_free(), "expected nothing shared to change before the commit");
    child.kill();
    check_throws<WriterDead>([&] { reader.read(kSoon); });
    check(all_free(), "expected no trace");
    check_buffer_is_sound(name, reader);
}

TEST(a_dead_readers_buffer_is_made_anew) {
    const BufferName name(unique_name("dead-reader"));
    Signal made;
    Signal attached;
    Child child([&] {
        Reader reader = Reader::create(name, {{64, 1024}});
        made.give();
        sleep_for_ever();
    });
    made.await();
    Writer writer = Writer::connect(name);
    writer.write(bytes("lost"));
    child.kill();
    child.wait();
    check(identity_of(name.segment_path()) && identity_of(name.lock_path()), "expected leftovers");
    const TimePoint start = Clock::now();
    check_throws<ReaderDead>([&] {
        for (;;) {
            writer.write(bytes("x"));
            std::this_thread::sleep_for(Milliseconds{1});
        }
    });
    check_time(start, kNoticed);
    Reader reader = Reader::create(name, {{64, 1024}});
    writer = Writer::connect(name);
    writer.write(bytes("found"));
    const auto frame = reader.read(kSoon);
    check(frame && text(frame->data()) == "found", "expected the new buffer's frame");
}

TEST(a_readers_death_is_noticed_by_a_writer_that_waits) {
    const BufferName name(unique_name("dying-reader"));
    Signal made;
    Child child([&] {
        Reader reader = Reader::create(name, {{64, 1024}});
        made.give();
        sleep_for_ever();
    });
    made.await();
    Writer writer = Writer::connect(name);
    writer.write(std::vector<std::byte>(1000));
    TimePoint killed{};
    std::jthread killer([&] {
        std::this_thread::sleep_for(Milliseconds{50});
        killed = Clock::now();
        child.kill();
    });
    check_throws<ReaderDead>([&] { writer.write(bytes("x")); });
    killer.join();
    check_time(killed, kNoticed);
    Reader::create(name, {{64, 1024}});
}
