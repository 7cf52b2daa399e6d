// Bytes in the segment end in an error or a frame, whatever they are.

#include <random>

#include "channel/error.hpp"
#include "channel/reader.hpp"
#include "channel/segment.hpp"
#include "channel/semaphore.hpp"
#include "channel/writer.hpp"
#include "test.hpp"

using namespace zerobuffer;
using namespace zerobuffer::test;

namespace {

constexpr Milliseconds kShort{5};

struct Opened {
    explicit Opened(const std::string& base = "corrupt")
        : name(unique_name(base)),
          reader(Reader::create(name, {{64, 1024}})),
          writer(Writer::connect(name)),
          segment(Segment::open(name)) {}

    FrameHeader header() const { return load_header(segment.payload().data()); }
    void set_header(FrameHeader header) { store_header(segment.payload().data(), header); }

    BufferName name;
    Reader reader;
    Writer writer;
    Segment segment;
};

}  // namespace

TEST(a_frame_of_size_0_with_a_sequence_is_no_wrap) {
    Opened buffer;
    buffer.writer.write(bytes("x"));
    buffer.set_header({0, 1});
    check_throws<Corrupt>([&] { buffer.reader.read(kShort); });
    // And it stays an error, instead of a wait for a post that was taken.
    check_throws<Corrupt>([&] { buffer.reader.read(kShort); });
}

TEST(a_frame_larger_than_the_ring_is_corrupt) {
    Opened buffer;
    buffer.writer.write(bytes("x"));
    for (const std::uint64_t size : {std::uint64_t{1009}, std::uint64_t{2}, ~std::uint64_t{0}}) {
        buffer.set_header({size, 1});
        check_throws<Corrupt>([&] { buffer.reader.read(kShort); });
    }
    buffer.set_header({1, 1});
    check(buffer.reader.read(kShort).has_value(), "expected the frame as it was");
}

TEST(a_gap_in_the_sequence_names_both_numbers) {
    Opened buffer;
    buffer.writer.write(bytes("x"));
    buffer.set_header({1, 5});
    const auto error = check_throws<SequenceBroken>([&] { buffer.reader.read(kShort); });
    check_equal(1U, error.expected);
    check_equal(5U, error.got);
}

TEST(an_account_that_cannot_be_is_corrupt_on_both_sides) {
    Opened buffer;
    buffer.segment.field(Field::payload_free_bytes).store(1025);
    check_throws<Corrupt>([&] { buffer.writer.write(bytes("x")); });
    Semaphore::open(buffer.name, buffer.name.data_semaphore())->post();
    check_throws<Corrupt>([&] { buffer.reader.read(kShort); });
}

TEST(metadata_longer_than_its_block_is_corrupt) {
    Opened buffer;
    buffer.writer.set_metadata(bytes("meta"));
    for (const std::uint64_t written : {std::uint64_t{65}, std::uint64_t{8}, ~std::uint64_t{0}}) {
        buffer.segment.field(Field::metadata_written_bytes).store(written);
        check_throws<Corrupt>([&] { buffer.reader.metadata(); });
    }
    buffer.segment.field(Field::metadata_written_bytes).store(12);
    buffer.segment.metadata()[0] = std::byte{0};
    check_throws<Corrupt>([&] { buffer.reader.metadata(); });
    buffer.segment.metadata()[0] = std::byte{5};
    check_throws<Corrupt>([&] { buffer.reader.metadata(); });
    buffer.segment.metadata()[0] = std::byte{4};
    check_equal("meta", text(*buffer.reader.metadata()));
}

namespace {

// Words that are likely to matter, and any others.
std::uint64_t strange(std::mt19937_64& random) {
    const std::uint64_t choices[] = {0, 1, 15, 16, 64, 1008, 1024, 1025, ~std::uint64_t{0},
                                     std::uint64_t{1} << 63, random(), random() % 2048};
    return choices[random() % std::size(choices)];
}

void damage(const Opened& buffer, std::mt19937_64& random) {
    if (random() % 2 == 0) {
        // Not the process ids: those end the test's own ends, which is tested elsewhere.
        const std::size_t word = 1 + random() % 9;
        buffer.segment.field(static_cast<Field>(8 * word)).store(strange(random));
    } else {
        const auto payload = buffer.segment.payload();
        const std::uint64_t value = strange(random);
        std::memcpy(payload.data() + random() % (payload.size() - 8), &value, sizeof value);
    }
    if (random() % 4 == 0) Semaphore::open(buffer.name, buffer.name.data_semaphore())->post();
}

}  // namespace

TEST(no_damage_to_a_segment_harms_the_process) {
    std::mt19937_64 random(7);
    int errors = 0;
    int frames = 0;
    for (int round = 0; round < 200; ++round) {
        Opened buffer("fuzz");
        buffer.writer.set_write_timeout(Milliseconds{0});
        for (int i = 0; i < 50; ++i) {
            if (random() % 4 == 0) damage(buffer, random);
            try {
                buffer.writer.write(std::vector<std::byte>(1 + random() % 300));
            } catch (const Error&) {
                ++errors;
            }
            try {
                const auto frame = buffer.reader.read(Milliseconds{0});
                std::uint64_t sum = 0;
                if (frame) {
                    ++frames;
                    for (const std::byte byte : frame->data()) sum += static_cast<unsigned>(byte);
                }
                check(sum < (1U << 20), "a frame no larger than the ring");
            } catch (const Error&) {
                ++errors;
            }
        }
    }
    check(errors > 1000 && frames > 1000, "expected errors and frames, found " +
                                              std::to_string(errors) + " and " +
                                              std::to_string(frames));
}
