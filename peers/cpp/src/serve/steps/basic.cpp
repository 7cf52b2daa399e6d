// Steps of "Basic communication".

#include <sstream>

#include "channel/error.hpp"
#include "serve/patience.hpp"
#include "serve/steps/all.hpp"
#include "serve/world.hpp"

namespace zerobuffer::serve::steps {

namespace {

using enum StepType;

constexpr Milliseconds kConnectTimeout{5000};
constexpr Milliseconds kFailTimeout{200};
constexpr Milliseconds kLate{100};      // how much later than its time-out a write may fail
constexpr Milliseconds kImmediate{50};  // how long a write that finds room may take
constexpr std::uint64_t kDefaultFrame = 1024;
constexpr BlockSizes kDefaultSizes{4096, 32 * 1024 * 1024};

void write_until_full(World& world, const StepArguments& arguments) {
    const std::uint64_t written =
        world.writers.find(arguments.role).write_until_full({kDefaultFrame, Fill::own_sequence});
    world.log().info(std::to_string(written) + " frames, then the buffer was full");
    expect(written > 0, "expected some frames before the buffer is full, found it full at once");
}

void write_times_out(World& world, const StepArguments& arguments) {
    WriterRole& role = world.writers.find(arguments.role);
    const Attempt attempt("the next write",
                          [&] { role.write({kDefaultFrame, Fill::plain}, kFailTimeout); });
    world.log().info(attempt.outcome());
    expect_buffer_full(attempt, role.raw(), kDefaultFrame);
    expect(attempt.took() >= kFailTimeout && attempt.took() < kFailTimeout + kLate,
           "expected the write to fail after its time-out of " + text_of(kFailTimeout) +
               " and no more than " + text_of(kLate) + " later, found " + text_of(attempt.took()));
}

void write_immediately(World& world, const StepArguments& arguments) {
    Writer& writer = world.writers.find(arguments.role).writer();
    const Bytes data = pattern(kDefaultFrame);
    const TimePoint start = Clock::now();
    writer.write(data);
    const Milliseconds took = since(start);
    expect(took < kImmediate,
           "expected a write in under " + text_of(kImmediate) + ", found " + text_of(took));
}

void write_sequenced(World& world, const StepArguments& arguments, std::uint64_t size,
                     std::uint64_t sequence) {
    Writer& writer = world.writers.find(arguments.role).writer();
    expect_equal("sequence of the frame written", sequence, writer.write(pattern(size, sequence)));
}

void fill_loan(World& world, const StepArguments& arguments) {
    WriterRole& role = world.writers.find(arguments.role);
    expect(role.loan.has_value(), "no zero-copy frame has been requested");
    fill_pattern(role.loan->data(), role.loan->sequence());
}

void commit_loan(World& world, const StepArguments& arguments) {
    WriterRole& role = world.writers.find(arguments.role);
    expect(role.loan.has_value(), "no zero-copy frame has been requested");
    role.loan->commit();
    role.loan.reset();
}

void add_writing(StepRegistry& registry) {
    registry.add({given, when}, R"(connects to buffer '([^']+)')",
                 [](World& world, const auto& a) {
                     world.connect_writer(a.role, a.text(0), kConnectTimeout);
                 });
    registry.add({when}, R"(writes metadata with size '(\d+)')", [](World& world, const auto& a) {
        world.writers.find(a.role).writer().set_metadata(pattern(a.number(0)));
    });
    registry.add({when}, R"(writes frame with size '(\d+)' and sequence '(\d+)')",
                 [](World& world, const auto& a) {
                     write_sequenced(world, a, a.number(0), a.number(1));
                 });
    registry.add({given, when}, R"(writes frame with sequence '(\d+)')",
                 [](World& world, const auto& a) {
                     write_sequenced(world, a, kDefaultFrame, a.number(0));
                 });
    registry.add({when}, R"(writes frame with size '(\d+)')", [](World& world, const auto& a) {
        world.writers.find(a.role).write_or_wait({a.number(0), Fill::plain});
    });
    registry.add({when}, R"(writes frames until buffer is full)", write_until_full);
    registry.add({then}, R"(should experience timeout on next write)", write_times_out);
    registry.add({then}, R"(should write successfully immediately)", write_immediately);
    registry.add({when}, R"(requests zero-copy frame of size '(\d+)')",
                 [](World& world, const auto& a) {
                     WriterRole& role = world.writers.find(a.role);
                     role.loan.reset();
                     role.loan = role.writer().loan(a.number(0));
                 });
    registry.add({when}, R"(fills zero-copy buffer with test pattern)", fill_loan);
    registry.add({when}, R"(commits zero-copy frame)", commit_loan);
    registry.add({when},
                 R"(writes '(\d+)' frames of size '(\d+)' (?:as fast as possible|rapidly))",
                 [](World& world, const auto& a) {
                     world.writers.find(a.role).write_on(
                         {{a.number(1), Fill::own_sequence}, a.number(0), true});
                 });
}

void validate_last_frame(World& world, const StepArguments& arguments) {
    const FrameRecord& frame = world.readers.find(arguments.role).last_frame();
    expect_pattern("frame " + std::to_string(frame.sequence), frame.data, frame.sequence);
}

// Steps write frames of a size with one pattern or the other; the first byte tells which.
void expect_either_pattern(const FrameRecord& frame) {
    const bool plain = frame.data.front() == std::byte{0};
    expect_pattern("frame " + std::to_string(frame.sequence), frame.data,
                   plain ? 0 : frame.sequence);
}

void read_sizes(World& world, const StepArguments& arguments) {
    ReaderRole& role = world.readers.find(arguments.role);
    std::istringstream sizes(arguments.text(1));
    std::uint64_t number = 0;
    for (std::string word; std::getline(sizes, word, ',');) {
        const std::string what = "frame number " + std::to_string(++number);
        const FrameRecord& frame = role.read_one();
        expect_equal(what + ", size in bytes", word, std::to_string(frame.data.size()));
        expect_pattern(what, frame.data);
        role.give_space_back();
    }
    expect_equal("number of sizes in the step", arguments.number(0), number);
}

// Until the writer has left and nothing is unread.
void read_stream(World& world, const StepArguments& arguments) {
    ReaderRole& role = world.readers.find(arguments.role);
    const Stream& stream = role.read_stream({.pause = Milliseconds(arguments.number(0))});
    stream.expect_right_data();
    world.log().info("read " + std::to_string(stream.sequences.size()) + " frames; reading ended " +
                     to_string(stream.end));
}

void check_frames_in_order(World& world, const StepArguments& arguments) {
    const auto& frames = world.readers.find(arguments.role).frames();
    expect(frames.size() > 1,
           "expected frames to compare, found " + std::to_string(frames.size()));
    for (std::size_t i = 1; i < frames.size(); ++i) {
        expect_equal("sequence of the frame after " + std::to_string(frames[i - 1].sequence),
                     frames[i - 1].sequence + 1, frames[i].sequence);
    }
}

void check_no_sequence_errors(World& world, const StepArguments& arguments) {
    const Stream& stream = world.readers.find(arguments.role).stream();
    expect(!stream.sequences.empty() || !stream.sequence_errors.empty(),
           "expected frames that were read, found none");
    expect(stream.sequence_errors.empty(),
           "expected no sequence errors, found " +
               (stream.sequence_errors.empty() ? "" : stream.sequence_errors.front()));
}

void add_reading(StepRegistry& registry) {
    registry.add({given},
                 R"(creates buffer '([^']+)' with metadata size '(\d+)' and payload size '(\d+)')",
                 [](World& world, const auto& a) {
                     world.create_reader(a.role, a.text(0), {a.number(1), a.number(2)});
                 });
    registry.add({given}, R"(creates buffer '([^']+)' with default config)",
                 [](World& world, const auto& a) {
                     world.create_reader(a.role, a.text(0), kDefaultSizes);
                 });
    registry.add({then}, R"(should read frame with sequence '(\d+)' and size '(\d+)')",
                 [](World& world, const auto& a) {
                     const FrameRecord& frame = world.readers.find(a.role).read_one();
                     expect_equal("sequence of the frame", a.number(0), frame.sequence);
                     expect_equal("size of the frame", a.number(1), frame.data.size());
                 });
    registry.add({then}, R"(should read frame with sequence '(\d+)';?)",
                 [](World& world, const auto& a) {
                     const FrameRecord& frame = world.readers.find(a.role).read_one();
                     expect_equal("sequence of the frame", a.number(0), frame.sequence);
                 });
    registry.add({then}, R"(should read frame with size '(\d+)')", [](World& world, const auto& a) {
        const FrameRecord& frame = world.readers.find(a.role).read_one();
        expect_equal("size of the frame", a.number(0), frame.data.size());
        expect_either_pattern(frame);
    });
    registry.add({when}, R"(reads (?:one )?frame)", [](World& world, const auto& a) {
        const FrameRecord& frame = world.readers.find(a.role).read_one();
        world.log().info("read frame " + std::to_string(frame.sequence) + " of " +
                         std::to_string(frame.data.size()) + " bytes");
    });
    registry.add({then}, R"(should validate frame data)", validate_last_frame);
    registry.add({then}, R"(should verify frame data matches test pattern)", validate_last_frame);
    registry.add({when, then}, R"(signals space available)", [](World& world, const auto& a) {
        world.readers.find(a.role).give_space_back();
    });
    registry.add({then}, R"(should verify all frames maintain sequential order)",
                 check_frames_in_order);
    registry.add({then}, R"(should read '?(\d+)'? frames with sizes '([\d,]+)' in order)",
                 read_sizes);
    registry.add({when}, R"(reads frames with '(\d+)' ms delay between each read)", read_stream);
    registry.add({then}, R"(should have read '(\d+)' frames)", [](World& world, const auto& a) {
        expect_equal("frames read", a.number(0),
                     world.readers.find(a.role).stream().sequences.size());
    });
    registry.add({then},
                 R"(should verify all frames have sequential sequence numbers starting from '(\d+)')",
                 [](World& world, const auto& a) {
                     world.readers.find(a.role).stream().expect_consecutive_from(a.number(0));
                 });
    registry.add({then}, R"(no sequence errors should have occurred)", check_no_sequence_errors);
}

}  // namespace

void add_basic(StepRegistry& registry) {
    registry.add({given}, R"(the test environment is initialized)",
                 [](World& world, const auto&) { world.clear(); });
    registry.add({given}, R"(all processes are ready)",
                 [](World& world, const auto&) { world.log().info("ready"); });
    add_reading(registry);
    add_writing(registry);
}

}  // namespace zerobuffer::serve::steps
