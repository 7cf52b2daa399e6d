#include "serve/raw_buffer.hpp"

#include <unistd.h>

#include "channel/error.hpp"
#include "channel/reader.hpp"
#include "channel/writer.hpp"
#include "serve/check.hpp"
#include "test.hpp"

using namespace zerobuffer;
using namespace zerobuffer::serve;
using namespace zerobuffer::test;

namespace {

constexpr Milliseconds kSoon{5000};

struct Pair {
    explicit Pair(const std::string& base, BlockSizes sizes = {0, 1024})
        : name(unique_name(base)), reader(Reader::create(name, {sizes})), writer(Writer::connect(name)),
          raw(name) {}

    BufferName name;
    Reader reader;
    Writer writer;
    RawBuffer raw;
};

}  // namespace

TEST(fields_are_seen_from_outside) {
    Pair pair("fields", {64, 1024});
    check_equal(128U, pair.raw.oieb_size());
    check_equal(64U, pair.raw.field(Field::metadata_size));
    check_equal(1024U, pair.raw.field(Field::payload_free_bytes));
    check_equal(static_cast<std::uint64_t>(::getpid()), pair.raw.field(Field::writer_pid));
    pair.writer.write(bytes("12345"));
    check_equal(21U, pair.raw.used());
    check_equal(5U, pair.raw.header_at(0).size);
    check_equal(1U, pair.raw.header_at(0).sequence);
    check_equal("12345", text(pair.raw.payload_at(16, 5)));
    check_throws<StepFailure>([&] { pair.raw.header_at(1009); });
}

TEST(headers_changed_from_outside_are_what_a_reader_reads) {
    Pair pair("changed");
    pair.writer.write(bytes("12345"));
    pair.raw.set_header_at(0, {5, 7});
    const auto error = check_throws<SequenceBroken>([&] { pair.reader.read(kSoon); });
    check_equal(7U, error.got);
    pair.raw.set_field(Field::payload_free_bytes, 2000);
    check_throws<Corrupt>([&] { pair.reader.read(kSoon); });
}

TEST(unread_frames_are_counted_over_a_wrap) {
    Pair pair("walk");
    check_equal(0U, pair.raw.unread().frames);
    for (int i = 0; i < 3; ++i) pair.writer.write(std::vector<std::byte>(284));
    for (int i = 0; i < 2; ++i) pair.reader.read(kSoon);
    // 124 bytes are left behind the third frame.
    pair.writer.write(std::vector<std::byte>(284));
    const UnreadFrames unread = pair.raw.unread();
    check_equal(2U, unread.frames);
    check_equal(1U, unread.wraps);
    check_equal(2U * 300 + 124, unread.bytes);
    check_equal(3U, unread.first_sequence);
    check_equal(4U, pair.raw.data_semaphore() + 2);
    pair.raw.set_header_at(0, {600, 4});
    check_throws<StepFailure>([&] { pair.raw.unread(); });
}

TEST(a_full_ring_is_not_an_empty_one) {
    Pair pair("full");
    pair.writer.write(std::vector<std::byte>(1008));
    check_equal(1U, pair.raw.unread().frames);
    pair.reader.read(kSoon);
    check_equal(0U, pair.raw.unread().frames);
}

TEST(files_and_lock_are_seen_from_outside) {
    const BufferName name(unique_name("files"));
    check_equal(0U, BufferFilesSeen(name).count());
    check_equal("none", BufferFilesSeen(name).existing());
    check(!is_locked(name), "expected no lock");
    check_throws<StepFailure>([&] { RawBuffer raw(name); });
    Reader reader = Reader::create(name, {{64, 1024}});
    const BufferFilesSeen seen(name);
    check_equal(4U, seen.count());
    check_equal(static_cast<std::uint64_t>(::getpid()), seen.owner());
    check(seen.owner_lives(), "expected a living owner");
    check(is_locked(name), "expected a lock that is held");
}
