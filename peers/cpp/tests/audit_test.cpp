#include <unistd.h>

#include <csignal>
#include <thread>

#include "channel/error.hpp"
#include "channel/reader.hpp"
#include "channel/segment.hpp"
#include "channel/semaphore.hpp"
#include "channel/writer.hpp"
#include "duplex/client.hpp"
#include "duplex/server.hpp"
#include "test.hpp"

using namespace zerobuffer;
using namespace zerobuffer::test;

namespace {

constexpr Milliseconds kSoon{5000};
constexpr Milliseconds kNow{0};

struct Audited {
    explicit Audited(Sequences sequences = Sequences::consecutive)
        : name(unique_name("audited")),
          reader(Reader::create(name, {{64, 1024}, sequences})),
          writer(Writer::connect(name)),
          segment(Segment::open(name)),
          data(*Semaphore::open(name, name.data_semaphore())) {}

    void write(std::size_t size) { writer.write(std::vector<std::byte>(size)); }
    Frame read() {
        auto frame = reader.read(kSoon);
        check(frame.has_value(), "expected a frame");
        return std::move(*frame);
    }
    std::atomic_ref<std::uint64_t> field(Field field) const { return segment.field(field); }

    void check_sound(std::source_location at = std::source_location::current()) {
        const Audit audit = reader.audit();
        check(!audit.disorder && !audit.unknown,
              "expected all to be in order, found: " + audit.disorder.value_or("") +
                  audit.unknown.value_or(""), at);
    }
    void check_disorder(const std::string& what,
                        std::source_location at = std::source_location::current()) {
        check_equal(what, reader.audit().disorder.value_or("nothing"), at);
    }
    void check_unknown(const std::string& why,
                       std::source_location at = std::source_location::current()) {
        const Audit audit = reader.audit();
        check_equal("nothing", audit.disorder.value_or("nothing"), at);
        check_equal(why, audit.unknown.value_or("known"), at);
    }

    BufferName name;
    Reader reader;
    Writer writer;
    Segment segment;
    Semaphore data;
};

void write_and_die(const BufferName& name, int frames) {
    Child child([&] {
        Writer writer = Writer::connect(name);
        for (int i = 0; i < frames; ++i) writer.write(bytes("frame"));
        ::kill(::getpid(), SIGKILL);
    });
    check_equal(128 + 9, child.wait());
}

}  // namespace

TEST(what_a_sound_writer_leaves_is_in_order) {
    Audited buffer;
    buffer.check_sound();
    for (std::size_t round = 0; round < 40; ++round) {
        buffer.write(100 + 7 * round);
        buffer.check_sound();
        buffer.write(33);
        buffer.check_sound();
        {
            const Frame held = buffer.read();
            buffer.check_sound();
        }
        buffer.read();
        buffer.check_sound();
    }
    buffer.write(33);
    buffer.writer.close();
    buffer.check_sound();
    buffer.writer = Writer::connect(buffer.name);
    buffer.write(33);
    buffer.check_sound();
    buffer.read();
    buffer.read();
    buffer.check_sound();
}

TEST(a_ring_that_is_full_is_in_order_too) {
    Audited buffer;
    for (int round = 0; round < 2; ++round) {
        buffer.write(1008);
        buffer.check_sound();
        buffer.field(Field::payload_write_pos).store(1024);
        buffer.check_sound();
        const Frame held = buffer.read();
        buffer.check_sound();
    }
}

TEST(a_byte_too_many_or_too_few_is_told) {
    Audited buffer;
    buffer.field(Field::payload_free_bytes).fetch_sub(1);
    buffer.check_disorder("0 bytes of unread frames and wraps, but 1 in use");
    buffer.field(Field::payload_free_bytes).fetch_add(2);
    buffer.check_disorder("1025 bytes free, 0 held and write position 0 of 1024");
    buffer.field(Field::payload_free_bytes).fetch_sub(1);
    for (int i = 0; i < 3; ++i) buffer.write(284);
    for (int i = 0; i < 2; ++i) buffer.read();
    // Over a wrap.
    buffer.write(284);
    buffer.field(Field::payload_free_bytes).fetch_add(1);
    buffer.check_disorder("724 bytes of unread frames and wraps, but 723 in use");
    buffer.field(Field::payload_free_bytes).fetch_sub(1);
    const Frame held = buffer.read();
    buffer.field(Field::payload_free_bytes).fetch_sub(1);
    buffer.check_disorder("424 bytes of unread frames and wraps, but 425 in use");
}

TEST(posts_too_many_or_too_few_are_told) {
    Audited buffer;
    buffer.write(10);
    buffer.read();
    buffer.write(10);
    buffer.data.post();
    buffer.check_disorder("3 posts for 2 frames, of which 1 are unread");
    // One that was taken for nothing counts all the same.
    buffer.read();
    check(!buffer.reader.read(kNow), "expected no frame");
    buffer.check_disorder("3 posts for 2 frames, of which 0 are unread");
    buffer.write(10);
    buffer.write(10);
    check(buffer.data.try_wait(), "expected a post");
    buffer.check_sound();
    check(buffer.data.try_wait(), "expected a post");
    buffer.check_disorder("3 posts for 4 frames, of which 2 are unread");
    // And so does one that was never there.
    buffer.writer.close();
    buffer.read();
    buffer.read();
    buffer.check_disorder("3 posts for 4 frames, of which 0 are unread");
}

TEST(headers_and_positions_that_do_not_lead_to_each_other_are_told) {
    Audited buffer;
    buffer.write(10);
    buffer.write(10);
    const auto second = buffer.segment.payload().subspan(26);
    store_header(second.data(), {10, 4});
    buffer.check_disorder("unread: frame 2 expected, found size 10, sequence 4 at 26");
    store_header(second.data(), {0, 0});
    buffer.check_disorder(
        "unread: a frame larger than what was written (size 10, sequence 1 at 0, writing goes on at "
        "52)");
    store_header(second.data(), {10, 1});
    buffer.check_sound();
    buffer.field(Field::payload_write_pos).store(50);
    buffer.check_disorder(
        "unread: a frame larger than what was written (size 10, sequence 1 at 0, writing goes on at "
        "50)");
    buffer.field(Field::payload_write_pos).store(1025);
    buffer.check_disorder("972 bytes free, 0 held and write position 1025 of 1024");
}

TEST(answers_may_be_missing_in_what_is_unread) {
    Audited buffer(Sequences::increasing);
    for (const std::uint64_t sequence : {1, 3, 4, 7}) buffer.writer.loan(10, sequence).commit();
    buffer.check_sound();
    buffer.writer.loan(10, 7).commit();
    buffer.check_disorder("unread: frame 8 expected, found size 10, sequence 7 at 104");
}

TEST(a_writer_in_the_middle_of_a_frame_is_waited_for) {
    Audited buffer;
    buffer.field(Field::payload_free_bytes).fetch_sub(26);
    const std::jthread writing([&] {
        std::this_thread::sleep_for(Milliseconds{50});
        buffer.field(Field::payload_free_bytes).fetch_add(26);
    });
    buffer.check_sound();
}

TEST(a_writer_that_never_rests_is_not_judged) {
    Audited buffer;
    buffer.data.post();
    const std::jthread writing([&](const std::stop_token& stop) {
        while (!stop.stop_requested()) {
            buffer.field(Field::payload_free_bytes).fetch_sub(1);
            std::this_thread::sleep_for(Milliseconds{1});
        }
    });
    buffer.check_unknown("its writer goes on writing");
}

TEST(of_a_frame_that_was_refused_as_corrupt_nobody_knows) {
    Audited buffer;
    buffer.write(10);
    store_header(buffer.segment.payload().data(), {0, 1});
    check_throws<Corrupt>([&] { buffer.reader.read(kNow); });
    buffer.check_unknown("the next frame has been refused as corrupt");
    store_header(buffer.segment.payload().data(), {10, 1});
    buffer.read();
    buffer.check_sound();
}

TEST(a_number_that_was_refused_is_not_told_of_again) {
    Audited buffer;
    buffer.write(10);
    buffer.write(10);
    store_header(buffer.segment.payload().data(), {10, 7});
    buffer.check_disorder("unread: frame 1 expected, found size 10, sequence 7 at 0");
    check_throws<SequenceBroken>([&] { buffer.reader.read(kNow); });
    buffer.check_sound();
    buffer.data.post();
    buffer.check_disorder("3 posts for 2 frames, of which 2 are unread");
    store_header(buffer.segment.payload().data() + 26, {10, 7});
    buffer.check_disorder("unread: frame 2 expected, found size 10, sequence 7 at 26");
}

TEST(of_a_writer_that_has_died_nobody_knows_until_its_account_is_settled) {
    Audited buffer;
    buffer.write(10);
    buffer.writer.close();
    write_and_die(buffer.name, 2);
    buffer.field(Field::payload_free_bytes).fetch_sub(20);
    buffer.check_unknown("its writer has died");
    for (int i = 0; i < 3; ++i) buffer.read();
    check_throws<WriterDead>([&] { buffer.reader.read(kNow); });
    buffer.check_sound();
    buffer.writer = Writer::connect(buffer.name);
    buffer.write(10);
    buffer.check_sound();
    buffer.data.post();
    buffer.check_disorder("2 posts for 1 frames, of which 1 are unread");
}

TEST(where_a_writer_took_a_dead_ones_place_nobody_knows) {
    Audited buffer;
    buffer.writer.close();
    write_and_die(buffer.name, 1);
    // The reader sees the dead one, and does not get to settle its account.
    buffer.read();
    buffer.field(Field::payload_free_bytes).fetch_sub(20);
    buffer.writer = Writer::connect(buffer.name, {kNow});
    buffer.check_unknown("a writer has died, and nobody knows in the middle of what");
}

TEST(a_reader_that_is_closed_is_not_audited) {
    Audited buffer;
    buffer.data.post();
    buffer.reader.close();
    buffer.check_unknown("its reader has been closed");
}

TEST(being_woken_is_no_post_of_a_writer) {
    Audited buffer;
    buffer.reader.wake();
    buffer.check_sound();
    check(!buffer.reader.read(kSoon), "expected to be woken");
    buffer.write(10);
    buffer.read();
    check(!buffer.reader.read(kNow), "expected no frame");
    buffer.check_sound();
}

TEST(both_ends_of_a_channel_are_audited) {
    const ChannelName name(unique_name("audited-channel"));
    ImmutableDuplexServer server(name, {{64, 1024}});
    server.start([](auto request) { return std::vector(request.begin(), request.end()); }, nullptr);
    DuplexClient client = DuplexClient::connect(name);
    for (int i = 0; i < 5; ++i) {
        client.send(bytes("ping"));
        check(client.receive(kSoon).has_value(), "expected an answer");
    }
    const auto post = [](const BufferName& buffer) {
        Semaphore::open(buffer, buffer.data_semaphore())->post();
    };
    check_equal("sound", client.audit().disorder.value_or("sound"));
    post(name.response());
    check_equal("posts", client.audit().disorder.value_or("sound").substr(2, 5));
    server.stop();
    check_equal("sound", server.audit().disorder.value_or("sound"));
    check(!server.audit().unknown, "expected to know");
    post(name.request());
    check_equal("6 posts for 5 frames, of which 0 are unread",
                server.audit().disorder.value_or("sound"));
}
