// Steps of "Corruption detection". The test corrupts the segment from outside of the library.

#include "channel/error.hpp"
#include "serve/death_watch.hpp"
#include "serve/free_space.hpp"
#include "serve/patience.hpp"
#include "serve/steps/all.hpp"
#include "serve/table.hpp"
#include "serve/world.hpp"

namespace zerobuffer::serve::steps {

namespace {

using enum StepType;

constexpr FramePlan kFrame{1024, Fill::own_sequence};
constexpr Milliseconds kReadTimeout{5000};
constexpr Milliseconds kTryingOn{1000};  // how long a death is given to be noticed, soon or late
constexpr std::uint32_t kWrongSize = 64;
constexpr BlockSizes kSpecificSizes{0, 10240};

void corrupt_oieb(World& world, const StepArguments& arguments) {
    expect_equal("field that can be corrupted", std::string("operation_size"), arguments.text(0));
    RawBuffer(world.buffer()).set_oieb_size(kWrongSize);
}

// The header of the next frame to be read; its other half is left as it is.
void corrupt_next_header(World& world, std::uint64_t FrameHeader::* half, std::uint64_t value) {
    RawBuffer raw(world.buffer());
    expect(raw.unread().frames > 0, "expected an unread frame to corrupt, found none");
    // A reader at the end of the ring goes on at its beginning.
    const std::uint64_t position =
        raw.field(Field::payload_read_pos) % raw.field(Field::payload_size);
    FrameHeader header = raw.header_at(position);
    header.*half = value;
    raw.set_header_at(position, header);
}

void note_before_read(ReaderRole& role) {
    const RawBuffer raw = role.raw();
    role.before_read = {raw.field(Field::payload_read_pos), raw.field(Field::payload_read_count)};
}

// An error, and no jump as over a wrap marker.
void check_refused_header(World& world, const StepArguments& arguments) {
    world.attempted().expect_failure<Corrupt>();
    const ReaderRole& role = world.readers.find(arguments.role);
    expect(role.before_read.has_value(), "no attempt to read has been made");
    const RawBuffer raw = role.raw();
    expect_equal("payload_read_pos", role.before_read->position,
                 raw.field(Field::payload_read_pos));
    expect_equal("payload_read_count", role.before_read->count,
                 raw.field(Field::payload_read_count));
}

void check_invalid_oieb(World& world, const StepArguments&) {
    expect_equal("oieb_size, still corrupted", kWrongSize, RawBuffer(world.buffer()).oieb_size());
    const auto error = world.attempted().expect_failure<IncompatibleVersion>();
    expect_equal("the buffer that the error names", world.buffer().text(), error.buffer());
}

void add_corrupting(StepRegistry& registry) {
    registry.add({when}, R"(the test corrupts OIEB field '([^']+)' to wrong value)", corrupt_oieb);
    registry.add({then}, R"(the connection should fail with invalid OIEB error)",
                 check_invalid_oieb);
    registry.add({when}, R"(the test corrupts frame header 'payload_size' to '(\d+)')",
                 [](World& world, const auto& a) {
                     corrupt_next_header(world, &FrameHeader::size, a.number(0));
                 });
    registry.add({when}, R"(the test corrupts next frame sequence to '(\d+)')",
                 [](World& world, const auto& a) {
                     corrupt_next_header(world, &FrameHeader::sequence, a.number(0));
                 });
    registry.add({when}, R"(attempts to read frame)", [](World& world, const auto& a) {
        ReaderRole& role = world.readers.find(a.role);
        note_before_read(role);
        world.attempt("reading a frame", [&] {
            expect(role.reader().read(kReadTimeout).has_value(), "no frame came in time");
        });
    });
    registry.add({then}, R"(the read should fail with invalid frame size error)",
                 check_refused_header);
}

void start_writing(World& world, const StepArguments& arguments) {
    WriterRole& role = world.writers.find(arguments.role);
    role.loan.reset();
    role.loan = role.writer().loan(arguments.number(0));
    fill_pattern(role.loan->data().first(role.loan->data().size() / 2), role.loan->sequence());
}

void complete_writing(WriterRole& role) {
    expect(role.loan.has_value(), "no frame is being written");
    fill_pattern(role.loan->data(), role.loan->sequence());
    try {
        role.loan->commit();
    } catch (const ReaderDead&) {
        // It may be noticed now, or by the next operation.
    }
    role.loan.reset();
}

void add_dying_reader(StepRegistry& registry) {
    registry.add({when}, R"(starts writing large frame (?:of )?'(\d+)' bytes)", start_writing);
    registry.add({when}, R"(completes write operation)", [](World& world, const auto& a) {
        complete_writing(world.writers.find(a.role));
    });
    registry.add({when}, R"(attempts next operation)", attempt_next_write);
    registry.add({then}, R"((?:should detect reader death|should throw reader dead exception))",
                 expect_reader_death);
}

void write_leaving(World& world, const StepArguments& arguments) {
    WriterRole& role = world.writers.find(arguments.role);
    const std::uint64_t size =
        role.writer().payload_size() - arguments.number(0) - FrameHeader::kSize;
    role.write_or_wait({size, Fill::plain});
}

const WriterRole::Written& wrapped_frame(WriterRole& role) {
    role.settle();
    expect(role.last().waited_at.has_value(),
           "expected a frame that had to wait for room, found that the last one had not");
    return role.last();
}

void check_marker(World& world, const StepArguments& arguments) {
    WriterRole& role = world.writers.find(arguments.role);
    const std::uint64_t position = *wrapped_frame(role).waited_at;
    expect_bytes("wrap marker at " + std::to_string(position), Bytes(FrameHeader::kSize),
                 role.raw().payload_at(position, FrameHeader::kSize));
}

void check_waste(World& world, const StepArguments& arguments) {
    WriterRole& role = world.writers.find(arguments.role);
    const WriterRole::Written& frame = wrapped_frame(role);
    const RawBuffer raw = role.raw();
    const std::uint64_t capacity = raw.field(Field::payload_size);
    const std::uint64_t wasted = capacity - *frame.waited_at;
    // Everything else had been released.
    expect_equal("payload_free_bytes", capacity - wasted - FrameHeader::kSize - frame.frame.size,
                 raw.field(Field::payload_free_bytes));
}

void check_frame_at_start(World& world, const StepArguments& arguments) {
    WriterRole& role = world.writers.find(arguments.role);
    const WriterRole::Written& frame = wrapped_frame(role);
    const RawBuffer raw = role.raw();
    const FrameHeader header = raw.header_at(0);
    expect_equal("size in the header at 0", frame.frame.size, header.size);
    expect_equal("sequence in the header at 0", frame.sequence, header.sequence);
    expect_pattern("frame at 0", raw.payload_at(FrameHeader::kSize, frame.frame.size),
                   frame.frame.shift(frame.sequence));
}

void read_over_wrap(World& world, const StepArguments& arguments) {
    ReaderRole& role = world.readers.find(arguments.role);
    note_before_read(role);
    role.read_one();
}

void check_marker_was_read(World& world, const StepArguments& arguments) {
    ReaderRole& role = world.readers.find(arguments.role);
    expect(role.before_read.has_value(), "no next frame has been read");
    const RawBuffer raw = role.raw();
    expect_equal("payload_read_count, for a wrap and a frame", role.before_read->count + 2,
                 raw.field(Field::payload_read_count));
    expect_bytes("wrap marker at " + std::to_string(role.before_read->position),
                 Bytes(FrameHeader::kSize),
                 raw.payload_at(role.before_read->position, FrameHeader::kSize));
}

void check_jump_to_start(World& world, const StepArguments& arguments) {
    ReaderRole& role = world.readers.find(arguments.role);
    expect_equal("payload_read_pos, behind a frame at 0",
                 FrameHeader::kSize + role.last_frame().data.size(),
                 role.raw().field(Field::payload_read_pos));
}

void add_wasted_space(StepRegistry& registry) {
    registry.add({when},
                 R"(writes frame that leaves '(\d+)' bytes at end with 'incremental' pattern)",
                 write_leaving);
    registry.add({when}, R"(attempts to write '(\d+)' byte frame with 'sequential' pattern)",
                 [](World& world, const auto& a) {
                     world.writers.find(a.role).write_or_wait({a.number(0), Fill::own_sequence});
                 });
    registry.add({then}, R"(should write wrap marker at current position)", check_marker);
    registry.add({then}, R"(should see payload_free_bytes reduced by wasted space)", check_waste);
    registry.add({then}, R"(frame should be written at buffer start)", check_frame_at_start);
    registry.add({when}, R"(reads next frame)", read_over_wrap);
    registry.add({then}, R"(should detect wrap marker)", check_marker_was_read);
    registry.add({then}, R"(should jump to buffer start)", check_jump_to_start);
    registry.add({then}, R"(should read '(\d+)' byte frame successfully with 'sequential' pattern)",
                 [](World& world, const auto& a) {
                     const FrameRecord& frame = world.readers.find(a.role).last_frame();
                     expect_equal("size of the frame", a.number(0), frame.data.size());
                     expect_pattern("the frame", frame.data, frame.sequence);
                 });
}

void calculate_rows(World& world, const StepArguments& arguments) {
    ReaderRole& role = world.readers.find(arguments.role);
    const std::uint64_t capacity = role.raw().field(Field::payload_size);
    world.free_space_rows.clear();
    for (const TableRow& row : table_of(arguments.parameters)) {
        const RingState state{capacity, row.number("write_pos"), row.number("read_pos")};
        expect_equal("expected_result", std::string("calculated"), row.text("expected_result"));
        const std::uint64_t by_hand = continuous_free_by_hand(state);
        const BufferName name(role.name().text() + "-row");
        world.free_space_rows.push_back({row.text("scenario"), state, by_hand,
                                         continuous_free_by_ring(state),
                                         try_free_space(name, world.holdings(), state, by_hand)});
        world.log().info(row.text("scenario") + ": " + std::to_string(by_hand) +
                         " bytes, written " + world.free_space_rows.back().tried.exact +
                         "; one more: " + world.free_space_rows.back().tried.one_more);
    }
}

void check_row(const FreeSpaceRow& row) {
    expect_equal(row.scenario + ": continuous free bytes by the ring's arithmetic", row.by_hand,
                 row.by_ring);
    const bool to_end = row.state.write_pos + row.by_hand <= row.state.capacity;
    expect_equal(row.scenario + ": a frame of this size, written",
                 "at " + std::to_string(to_end ? row.state.write_pos : 0), row.tried.exact);
    // What the reader may still give back helps, or not even an empty ring would have room.
    const std::uint64_t needed =
        needed_by_hand(row.state.capacity, row.state.write_pos, row.by_hand + 1);
    const bool may_come = needed <= row.state.capacity;
    expect_equal(row.scenario + ": a frame of one byte more",
                 kind_of(may_come ? typeid(BufferFull) : typeid(FrameTooLarge)),
                 row.tried.one_more);
}

void add_free_space(StepRegistry& registry) {
    registry.add({given}, R"(creates buffer '([^']+)' with specific configuration)",
                 [](World& world, const auto& a) {
                     world.create_reader(a.role, a.text(0), kSpecificSizes);
                 });
    registry.add({when}, R"(the system tests continuous_free_bytes calculation with:)",
                 calculate_rows);
    registry.add({then}, R"(calculations should match specification)",
                 [](World& world, const auto&) {
                     expect(!world.free_space_rows.empty(), "expected rows, found none");
                     for (const FreeSpaceRow& row : world.free_space_rows) check_row(row);
                 });
    registry.add({when}, R"(writes frame matching exactly payload size minus header)",
                 [](World& world, const auto& a) {
                     WriterRole& role = world.writers.find(a.role);
                     role.write_or_wait({role.writer().payload_size() - FrameHeader::kSize,
                                         Fill::own_sequence});
                 });
}

}  // namespace

// A writer looks after its reader from time to time, not with every frame.
void attempt_next_write(World& world, const StepArguments& arguments) {
    WriterRole& role = world.writers.find(arguments.role);
    if (role.loan) complete_writing(role);
    world.attempt("the next operation", [&] {
        const TimePoint start = Clock::now();
        do {
            role.write(kFrame);
            std::this_thread::sleep_for(Milliseconds{1});
        } while (since(start) < kTryingOn);
    });
}

void expect_reader_death(World& world, const StepArguments&) {
    const auto error = world.attempted().expect_failure<ReaderDead>();
    expect_equal("the buffer that the error names", world.buffer().text(), error.buffer());
    expect_noticed(world.attempted(), "the reader's death");
}

void add_corruption(StepRegistry& registry) {
    add_corrupting(registry);
    add_dying_reader(registry);
    add_wasted_space(registry);
    add_free_space(registry);
}

}  // namespace zerobuffer::serve::steps
