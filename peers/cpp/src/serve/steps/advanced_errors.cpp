// Steps of "Advanced error handling".

#include <limits>

#include "channel/error.hpp"
#include "serve/death_watch.hpp"
#include "serve/patience.hpp"
#include "serve/steps/all.hpp"
#include "serve/table.hpp"
#include "serve/world.hpp"

namespace zerobuffer::serve::steps {

namespace {

using enum StepType;

constexpr FramePlan kFrame{1024, Fill::own_sequence};
constexpr BlockSizes kSizes{64, 4096};
constexpr Milliseconds kTimeout{1000};
constexpr std::uint64_t kAllOnes = std::numeric_limits<std::uint64_t>::max();

// A row of the table: how a header is spoilt, and how the reader takes it.
struct Corruption {
    std::string type;
    std::string result;
    FrameHeader (*spoil)(FrameHeader sound);
    void (*check)(const Attempt& attempt, const FrameHeader& spoilt);
};

void check_corrupt(const Attempt& attempt, const FrameHeader&) {
    attempt.expect_failure<Corrupt>();
}

// The sequence is looked at before the size.
void check_sequence_broken(const Attempt& attempt, const FrameHeader& spoilt) {
    const auto error = attempt.expect_failure<SequenceBroken>();
    expect_equal("expected sequence in the error", 1U, error.expected);
    expect_equal("found sequence in the error", spoilt.sequence, error.got);
}

const Corruption kCorruptions[] = {
    {"payload_size > remaining", "reader handles gracefully",
     [](FrameHeader sound) { return FrameHeader{sound.size + kSizes.payload, sound.sequence}; },
     check_corrupt},
    {"sequence_number invalid", "reader detects error",
     [](FrameHeader sound) { return FrameHeader{sound.size, sound.sequence + 6}; },
     check_sequence_broken},
    // A header has no magic: the whole of it is spoilt instead.
    {"header magic corrupted", "reader rejects frame",
     [](FrameHeader) { return FrameHeader{kAllOnes, kAllOnes}; }, check_sequence_broken},
};

const Corruption& corruption_of(const TableRow& row) {
    const std::string& type = row.text("corruption_type");
    for (const Corruption& corruption : kCorruptions) {
        if (corruption.type != type) continue;
        expect_equal(type, corruption.result, row.text("expected_result"));
        return corruption;
    }
    throw StepFailure("nobody knows how to corrupt '" + type + "'");
}

// A fresh buffer, a frame, its header spoilt, read twice, and made good again: then it can be read.
void try_corruption(World& world, const Corruption& corruption) {
    const BufferName name(world.buffer().text() + "-row");
    Reader reader = Reader::create(name, {kSizes, Sequences::consecutive, world.holdings()});
    Writer writer = Writer::connect(name, {kTimeout, kTimeout, world.holdings()});
    const FrameHeader sound{kFrame.size, write_planned(writer, kFrame)};
    RawBuffer raw(name);
    const FrameHeader spoilt = corruption.spoil(sound);
    raw.set_header_at(0, spoilt);
    for (const char* time : {", first", ", again"}) {
        const Attempt attempt(corruption.type + time, [&] { reader.read(kTimeout); });
        world.log().info(corruption.type + time + ": " + attempt.outcome());
        corruption.check(attempt, spoilt);
    }
    raw.set_header_at(0, sound);
    const auto frame = reader.read(kTimeout);
    expect(frame.has_value(), corruption.type + ": expected the frame once its header is sound, "
                                                "found none");
    expect_equal("size of the frame", kFrame.size, frame->data().size());
    expect_pattern("the frame", frame->data(), frame->sequence());
}

void wait_for_data(World& world, const StepArguments& arguments) {
    ReaderRole& role = world.readers.find(arguments.role);
    const RawBuffer raw = role.raw();
    if (const std::uint64_t writer = raw.field(Field::writer_pid)) role.writers_end.emplace(writer);
    role.read_in_background();
    wait_until("a reader that waits on its semaphore", [&] { return raw.waits_for_data(); });
}

void check_writer_death(World& world, const StepArguments& arguments) {
    const Milliseconds most = std::chrono::seconds(arguments.number(0));
    ReaderRole& role = world.readers.find(arguments.role);
    const Attempt& attempt = role.background_read();
    attempt.expect_failure<WriterDead>();
    expect(attempt.took() < most, "expected the writer's death to be noticed within " +
                                      text_of(most) + ", found " + text_of(attempt.took()));
    expect(role.writers_end.has_value(),
           "expected a writer that was there when the wait began, found none");
    expect_noticed(attempt, "the writer's death", *role.writers_end);
}

// And the reader has settled the dead one's account, for the next.
void check_writer_dead_exception(World& world, const StepArguments& arguments) {
    ReaderRole& role = world.readers.find(arguments.role);
    const auto error = role.background_read().expect_failure<WriterDead>();
    expect_equal("the buffer that the error names", role.name().text(), error.buffer());
    expect_equal("writer_pid", 0U, role.raw().field(Field::writer_pid));
    expect_equal("bytes in use", 0U, role.raw().used());
}

}  // namespace

void add_advanced_errors(StepRegistry& registry) {
    registry.add({when}, R"(writes valid frame)", [](World& world, const auto& a) {
        world.writers.find(a.role).write(kFrame);
    });
    registry.add({then}, R"(test multiple corruption scenarios:)",
                 [](World& world, const auto& a) {
                     for (const TableRow& row : table_of(a.parameters)) {
                         try_corruption(world, corruption_of(row));
                     }
                 });
    registry.add({when}, R"(detects reader death on next operation)",
                 [](World& world, const auto& a) {
                     attempt_next_write(world, a);
                     expect_reader_death(world, a);
                 });
    registry.add({when}, R"(waits on semaphore for data)", wait_for_data);
    registry.add({then}, R"(should detect writer death after timeout '(\d+)' seconds)",
                 check_writer_death);
    registry.add({then}, R"(should throw writer dead exception)", check_writer_dead_exception);
}

}  // namespace zerobuffer::serve::steps
