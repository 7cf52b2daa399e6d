// Steps of "Edge cases", but those with further processes.

#include "channel/error.hpp"
#include "serve/free_space.hpp"
#include "serve/pace.hpp"
#include "serve/patience.hpp"
#include "serve/steps/all.hpp"
#include "serve/world.hpp"

namespace zerobuffer::serve::steps {

namespace {

using enum StepType;

constexpr FramePlan kFrame{1024, Fill::own_sequence};
constexpr FramePlan kSmallFrame{128, Fill::own_sequence};
constexpr Milliseconds kShortTimeout{100};
constexpr Milliseconds kReallyWaiting{50};
constexpr Milliseconds kLastRead{200};
constexpr Milliseconds kFrameTimeout{5000};
constexpr Milliseconds kNoDeadlock{1000};

std::uint64_t total(std::uint64_t size) { return FrameHeader::kSize + size; }

// What both sides counted, wraps included, is what stands between their positions.
void expect_account_of_unread(const RawBuffer& raw) {
    const UnreadFrames unread = raw.unread();
    expect_equal("frames and wraps written and not read", unread.frames + unread.wraps,
                 raw.field(Field::payload_written_count) - raw.field(Field::payload_read_count));
}

void expect_header(const RawBuffer& raw, std::uint64_t position, const FrameHeader& expected) {
    const FrameHeader found = raw.header_at(position);
    const std::string what = "in the header at " + std::to_string(position);
    expect_equal("size " + what, expected.size, found.size);
    expect_equal("sequence " + what, expected.sequence, found.sequence);
}

// The frame that was written last is the one that ends at the write position, every byte of it.
void check_last_frame(WriterRole& role) {
    role.settle();
    const WriterRole::Written& last = role.last();
    const RawBuffer raw = role.raw();
    const std::uint64_t capacity = raw.field(Field::payload_size);
    // Some writers leave the position at the end after an exact fit.
    const std::uint64_t at_start = raw.field(Field::payload_write_pos) % capacity;
    const std::uint64_t end = at_start == 0 ? capacity : at_start;
    expect(end >= total(last.frame.size), "expected a write position behind the frame, found " +
                                              std::to_string(end));
    const std::uint64_t position = end - total(last.frame.size);
    expect_header(raw, position, {last.frame.size, last.sequence});
    expect_pattern("the frame in the segment",
                   raw.payload_at(position + FrameHeader::kSize, last.frame.size),
                   last.frame.shift(last.sequence));
}

// The frame that had to wait stands at the beginning, and a wrap marker where the writer stood.
void check_wrapped(WriterRole& role) {
    role.settle();
    const WriterRole::Written& last = role.last();
    expect(last.waited_at.has_value(), "expected a frame that had to wait for room, found that the "
                                       "last one had not");
    const RawBuffer raw = role.raw();
    expect_header(raw, *last.waited_at, {0, 0});
    expect_header(raw, 0, {last.frame.size, last.sequence});
    expect_equal("payload_write_pos", total(last.frame.size),
                 raw.field(Field::payload_write_pos));
    expect_equal("payload_written_count, wraps included", last.sequence + 1,
                 raw.field(Field::payload_written_count));
    check_last_frame(role);
}

void write_part_of_buffer(World& world, const StepArguments& arguments) {
    WriterRole& role = world.writers.find(arguments.role);
    const std::uint64_t size = role.writer().payload_size() * arguments.number(0) / 100;
    role.write_or_wait({size, Fill::own_sequence});
}

void write_same_again(World& world, const StepArguments& arguments) {
    WriterRole& role = world.writers.find(arguments.role);
    const RawBuffer raw = role.raw();
    // The large one was the first: its header still stands at the beginning.
    role.write_or_wait({raw.header_at(0).size, Fill::own_sequence});
}

void check_no_deadlock(World& world, const StepArguments& arguments) {
    WriterRole& role = world.writers.find(arguments.role);
    expect(role.last().waited_at.has_value(),
           "expected a write that had to wait and has ended, found none");
    const WritingProgress progress = role.progress();
    expect(!progress.waiting_since, "expected no write that waits, found one");
    expect(!progress.failure, "expected the write that waited to succeed, found " +
                                  progress.failure.value_or(""));
    expect_equal("frames written by the write that waited", 1U, progress.written);
}

void attempt_size(World& world, const StepArguments& arguments) {
    WriterRole& role = world.writers.find(arguments.role);
    const FramePlan frame{arguments.number(0), Fill::plain};
    world.attempt("writing a frame", [&] { role.write(frame); }, frame.size);
}

void check_frame_too_large(World& world, const StepArguments& arguments) {
    const Attempt& attempt = world.attempted();
    const auto error = attempt.expect_failure<FrameTooLarge>();
    const RawBuffer raw = world.writers.find(arguments.role).raw();
    const std::uint64_t capacity = raw.field(Field::payload_size);
    expect_equal("the buffer that the error names", raw.name().text(), error.buffer());
    expect_equal("size in the error", attempt.size(), error.size);
    expect_equal("capacity in the error", capacity, error.capacity);
    expect_equal("position in the error", raw.field(Field::payload_write_pos) % capacity,
                 error.position);
}

void add_sizes(StepRegistry& registry) {
    registry.add({given}, R"(creates buffer '([^']+)' with minimum viable size '(\d+)')",
                 [](World& world, const auto& a) {
                     world.create_reader(a.role, a.text(0), {0, a.number(1)});
                 });
    registry.add({when}, R"(writes single byte frame)", [](World& world, const auto& a) {
        world.writers.find(a.role).write_or_wait({1, Fill::own_sequence});
    });
    registry.add({then},
                 R"(should verify (?:(?:frame )?write succeeded|frame was written successfully))",
                 [](World& world, const auto& a) {
                     check_last_frame(world.writers.find(a.role));
                 });
    registry.add({when}, R"(attempts to write '(\d+)' byte frame)", attempt_size);
    registry.add({when}, R"(attempts to write frame with size '(\d+)')", attempt_size);
    registry.add({when}, R"(attempts to write frame exceeding payload size)",
                 [](World& world, const auto& a) {
                     WriterRole& role = world.writers.find(a.role);
                     const std::uint64_t size =
                         role.writer().payload_size() - FrameHeader::kSize + 1;
                     world.attempt("writing a frame",
                                   [&] { role.write({size, Fill::plain}); }, size);
                 });
    registry.add(
        {then},
        R"((?:should receive FrameTooLargeException|write should be rejected with appropriate error))",
        check_frame_too_large);
    registry.add({then}, R"(should fail with zero size error)", [](World& world, const auto&) {
        world.attempted().expect_failure<InvalidFrameSize>();
    });
    registry.add({then}, R"(frame overhead should be '(\d+)' bytes)",
                 [](World& world, const auto& a) {
                     ReaderRole& role = world.readers.find(a.role);
                     expect(role.holds_a_frame(), "expected a frame that is held, found none");
                     expect_equal("bytes used beside the frame's data", a.number(0),
                                  role.raw().used() - role.last_frame().data.size());
                 });
}

void add_without_metadata(StepRegistry& registry) {
    registry.add({when}, R"(attempts to write metadata)", [](World& world, const auto& a) {
        Writer& writer = world.writers.find(a.role).writer();
        const Bytes data = pattern(100);
        world.attempt("writing metadata", [&] { writer.set_metadata(data); }, data.size());
    });
    registry.add({then}, R"(metadata write should fail appropriately)", check_metadata_too_large);
    registry.add({when}, R"(writes frame without metadata)", [](World& world, const auto& a) {
        world.writers.find(a.role).write(kFrame);
    });
    registry.add({then}, R"(should verify system works correctly without metadata)",
                 [](World& world, const auto& a) {
                     ReaderRole& role = world.readers.find(a.role);
                     const FrameRecord& frame = role.read_one();
                     expect_equal("size of the frame", kFrame.size, frame.data.size());
                     expect_pattern("the frame", frame.data, frame.sequence);
                     expect(!role.reader().metadata(), "expected no metadata, found some");
                     expect_equal("metadata_size", 0U, role.raw().field(Field::metadata_size));
                 });
}

void add_wrapping(StepRegistry& registry) {
    registry.add({when}, R"(writes large frame using '(\d+)%' of buffer)", write_part_of_buffer);
    registry.add({when}, R"(writes small frame of '(\d+)' bytes?)",
                 [](World& world, const auto& a) {
                     world.writers.find(a.role).write_or_wait({a.number(0), Fill::own_sequence});
                 });
    registry.add({when}, R"(attempts to write large frame again)", write_same_again);
    registry.add({then},
                 R"((?:proper wrap-around handling should occur|should complete write at buffer start))",
                 [](World& world, const auto& a) { check_wrapped(world.writers.find(a.role)); });
    registry.add({then}, R"(no deadlocks should happen)", check_no_deadlock);
}

void check_waits_for_space(World& world, const StepArguments& arguments) {
    WriterRole& role = world.writers.find(arguments.role);
    const std::uint64_t count = role.raw().field(Field::payload_written_count);
    wait_until("a write that waits for room", [&] {
        const auto waiting = role.progress().waiting_since;
        return waiting && since(*waiting) >= kReallyWaiting;
    });
    expect_equal("payload_written_count", count, role.raw().field(Field::payload_written_count));
    expect_equal("frames written meanwhile", 0U, role.progress().written);
}

void check_blocks(World& world, const StepArguments& arguments) {
    WriterRole& role = world.writers.find(arguments.role);
    const Attempt attempt("another write", [&] { role.write(kFrame, kShortTimeout); });
    expect_buffer_full(attempt, role.raw(), kFrame.size);
    expect(attempt.took() >= kShortTimeout,
           "expected a wait of " + text_of(kShortTimeout) + ", found " + text_of(attempt.took()));
}

void check_completely_full(World& world, const StepArguments&) {
    expect_equal("payload_free_bytes", 0U,
                 RawBuffer(world.buffer()).field(Field::payload_free_bytes));
}

void check_writes_again(World& world, const StepArguments& arguments) {
    WriterRole& role = world.writers.find(arguments.role);
    role.write(kFrame);
    const RawBuffer raw = role.raw();
    expect_header(raw, 0, {kFrame.size, role.last().sequence});
    expect_equal("payload_write_pos", total(kFrame.size), raw.field(Field::payload_write_pos));
    check_last_frame(role);
}

void add_exact_fit(StepRegistry& registry) {
    registry.add({when}, R"(writes frame with exact size '(\d+)')",
                 [](World& world, const auto& a) {
                     world.writers.find(a.role).write_or_wait({a.number(0), Fill::own_sequence});
                 });
    registry.add({then}, R"(buffer should be completely full)", check_completely_full);
    registry.add({then}, R"((?:no more writes should be possible|should block waiting for space))",
                 check_blocks);
    registry.add({then}, R"(the frame should have size '(\d+)')", [](World& world, const auto& a) {
        expect_equal("size of the frame", a.number(0),
                     world.readers.find(a.role).last_frame().data.size());
    });
    registry.add({then}, R"(should be able to write again)", check_writes_again);
    registry.add({then}, R"(should wait for space)", check_waits_for_space);
}

void add_coalescing(StepRegistry& registry) {
    registry.add({when}, R"(writes '(\d+)' frames rapidly without reader consuming)",
                 [](World& world, const auto& a) {
                     WriterRole& role = world.writers.find(a.role);
                     for (std::uint64_t i = 0; i < a.number(0); ++i) role.write(kFrame);
                 });
    registry.add({then}, R"(the semaphore count should represent pending frames)",
                 check_semaphore_counts_unread);
    registry.add({when}, R"(wakes and processes all frames)", [](World& world, const auto& a) {
        const Stream& stream =
            world.readers.find(a.role).read_stream({.patience = kLastRead});
        expect(!stream.sequences.empty(), "expected at least one frame, found none");
    });
    registry.add({then}, R"(all frames should be read correctly)", [](World& world, const auto& a) {
        const Stream& stream = world.readers.find(a.role).stream();
        stream.expect_consecutive_from(1);
        stream.expect_right_data();
    });
    registry.add({then}, R"(the coalesced signals should be handled properly)",
                 [](World& world, const auto& a) {
                     ReaderRole& role = world.readers.find(a.role);
                     role.expect_nothing_unread();
                     expect_equal("value of the data semaphore", 0U,
                                  role.raw().data_semaphore());
                     expect_equal("bytes in use", 0U, role.raw().used());
                 });
}

void read_at_pace(World& world, const StepArguments& arguments) {
    ReaderRole& role = world.readers.find(arguments.role);
    expect(role.pace.has_value(), "no pace of reading has been set");
    const Stream& stream = role.read_stream(
        {.count = arguments.number(0), .pause = *role.pace, .patience = kFrameTimeout});
    expect_equal("how reading ended", to_string(Stream::End::count), to_string(stream.end));
}

void check_held_to_pace(World& world, const StepArguments& arguments) {
    // Where the reader does not tell: that of the scenario.
    constexpr Milliseconds kPace{50};
    constexpr std::size_t kFewest = 20;
    WriterRole& role = world.writers.find(arguments.role);
    await_full_ring(role);
    expect_held_to(told_pace(arguments.context).value_or(kPace), kFewest, role.progress());
}

void add_flow_control(StepRegistry& registry) {
    registry.add({when}, R"(writes continuously at high speed)", [](World& world, const auto& a) {
        world.writers.find(a.role).write_on({kSmallFrame});
    });
    registry.add({when}, R"(reads with '(\d+)' ms delay per frame)",
                 [](World& world, const auto& a) {
                     const Milliseconds pace(a.number(0));
                     world.readers.find(a.role).pace = pace;
                     tell_pace(world, pace);
                 });
    registry.add({when}, R"(the test runs for '(\d+)' frames)", read_at_pace);
    registry.add({then}, R"(should receive all frames without loss)",
                 [](World& world, const auto& a) {
                     const Stream& stream = world.readers.find(a.role).stream();
                     stream.expect_consecutive_from(1);
                     stream.expect_right_data();
                     expect_equal("how reading ended", to_string(Stream::End::count),
                                  to_string(stream.end));
                 });
    registry.add({then}, R"(should block appropriately)", check_held_to_pace);
    registry.add({then}, R"(flow control should work correctly)", check_flow_control);
}

// The ring is empty, or, where this process still writes to it, what was written is what was read
// and what is unread.
void check_none_lost(World& world, const StepArguments& arguments) {
    if (!world.writers.empty() && world.writers.find(arguments.role).writes_without_end()) {
        WriterRole& role = world.writers.find(arguments.role);
        const std::uint64_t written = role.written();
        const RawBuffer raw = role.raw();
        const UnreadFrames unread = raw.unread();
        const std::uint64_t wraps =
            raw.field(Field::payload_written_count) - written - unread.wraps;
        expect_equal("frames read, of those written and not unread",
                     written - unread.frames,
                     raw.field(Field::payload_read_count) - wraps);
        return;
    }
    ReaderRole& role = world.readers.find(arguments.role);
    role.stream().expect_consecutive_from(1);
    role.stream().expect_right_data();
    expect_equal("bytes in use", 0U, role.raw().used());
}

void add_rapid_cycles(StepRegistry& registry) {
    registry.add({when}, R"(reads all frames and signals immediately)",
                 [](World& world, const auto& a) {
                     const Stream& stream =
                         world.readers.find(a.role).read_stream({.patience = kFrameTimeout});
                     world.log().info("read " + std::to_string(stream.sequences.size()) +
                                      " frames; reading ended " + to_string(stream.end));
                 });
    registry.add({then}, R"(all sequence numbers should be correct)",
                 [](World& world, const auto& a) {
                     world.readers.find(a.role).stream().expect_consecutive_from(1);
                 });
    registry.add({then}, R"(no frames should be lost)", check_none_lost);
    registry.add({then}, R"(no deadlocks should occur)", [](World& world, const auto& a) {
        const Stream& stream = world.readers.find(a.role).stream();
        expect_equal("how reading ended", to_string(Stream::End::writer_left),
                     to_string(stream.end));
        expect(stream.longest_wait < kNoDeadlock, "expected no wait for a frame of " +
                                                      text_of(kNoDeadlock) + ", found " +
                                                      text_of(stream.longest_wait));
    });
}

void check_not_found(World& world, const StepArguments&) {
    world.attempted().expect_failure<BufferNotFound>();
}

void check_no_segment_named(World& world, const StepArguments&) {
    const auto error = world.attempted().expect_failure<BufferNotFound>();
    expect_equal("the buffer that the error names", world.buffer().text(), error.buffer());
    const std::string what = error.what();
    expect(what.find("there is no such buffer") != std::string::npos,
           "expected an error that says that there is no such buffer, found: " + what);
    const BufferFilesSeen files(world.buffer());
    expect(files.count() == 0, "expected no file of the buffer, found " + files.existing());
}

void add_absence(StepRegistry& registry) {
    registry.add({given}, R"(the system is ready)",
                 [](World& world, const auto&) { world.log().info("ready"); });
    registry.add({then}, R"(the connection should fail with appropriate error)", check_not_found);
    registry.add({then}, R"(error should indicate no shared memory found)",
                 check_no_segment_named);
}

}  // namespace

void expect_buffer_full(const Attempt& attempt, const RawBuffer& raw, std::uint64_t size) {
    const auto error = attempt.expect_failure<BufferFull>();
    const std::uint64_t needed =
        needed_by_hand(raw.field(Field::payload_size), raw.field(Field::payload_write_pos),
                       total(size));
    expect_equal("the buffer that the error names", raw.name().text(), error.buffer());
    expect_equal("bytes needed in the error", needed, error.needed);
    expect_equal("bytes free in the error", raw.field(Field::payload_free_bytes), error.free);
    expect(error.free < error.needed, "expected fewer bytes free than needed, found " +
                                          std::to_string(error.free) + " of " +
                                          std::to_string(error.needed));
}

void await_full_ring(WriterRole& role) {
    if (!role.writes_without_end()) return;
    const RawBuffer raw = role.raw();
    const std::uint64_t capacity = raw.field(Field::payload_size);
    const std::uint64_t size = raw.header_at(0).size;
    wait_until("a ring without room for another frame", [&] {
        const std::uint64_t position = raw.field(Field::payload_write_pos);
        return raw.field(Field::payload_free_bytes) <
               needed_by_hand(capacity, position, total(size));
    });
}

void check_flow_control(World& world, const StepArguments& arguments) {
    WriterRole& role = world.writers.find(arguments.role);
    await_full_ring(role);
    const RawBuffer raw = role.raw();
    expect_account_of_unread(raw);
    // Frames that are read and held are in use as well.
    const std::uint64_t unread = raw.unread().bytes;
    expect(raw.used() >= unread, "expected at least the " + std::to_string(unread) +
                                     " bytes of what is unread in use, found " +
                                     std::to_string(raw.used()));
    const WritingProgress progress = role.progress();
    expect(progress.was_full, "expected a writer that met a full buffer, found none");
    expect(!progress.failure,
           "expected a writer without an error, found " + progress.failure.value_or(""));
}

void check_semaphore_counts_unread(World& world, const StepArguments&) {
    const RawBuffer raw(world.buffer());
    expect_account_of_unread(raw);
    const std::uint64_t unread = raw.unread().frames;
    expect(unread > 0, "expected unread frames, found none");
    expect_equal("value of the data semaphore", unread, std::uint64_t{raw.data_semaphore()});
}

void add_edge_cases(StepRegistry& registry) {
    add_sizes(registry);
    add_without_metadata(registry);
    add_wrapping(registry);
    add_exact_fit(registry);
    add_coalescing(registry);
    add_flow_control(registry);
    add_rapid_cycles(registry);
    add_absence(registry);
}

}  // namespace zerobuffer::serve::steps
