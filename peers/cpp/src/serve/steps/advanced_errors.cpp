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

// The header of a frame of this size and sequence, spoilt as a row of the table says.
FrameHeader spoilt(const std::string& corruption, FrameHeader header) {
    if (corruption == "payload_size > remaining") {
        return {header.size + kSizes.payload, header.sequence};
    }
    if (corruption == "sequence_number invalid") return {header.size, header.sequence + 6};
    // A header has no magic: the whole of it is spoilt instead.
    if (corruption == "header magic corrupted") return {kAllOnes, kAllOnes};
    throw StepFailure("nobody knows how to corrupt '" + corruption + "'");
}

void check_outcome(const std::string& corruption, const Attempt& attempt) {
    if (corruption == "payload_size > remaining") {
        attempt.expect_failure<Corrupt>();
    } else if (corruption == "sequence_number invalid") {
        attempt.expect_failure<SequenceBroken>();
    } else {
        const std::string outcome = attempt.outcome();
        expect(outcome.starts_with("Corrupt ") || outcome.starts_with("SequenceBroken "),
               corruption + ": expected Corrupt or SequenceBroken, found " + outcome);
    }
}

// A fresh buffer, a frame, its header spoilt, read, and made good again: then it can be read.
void try_corruption(World& world, const std::string& corruption) {
    const BufferName name(world.buffer().text() + "-row");
    Reader reader = Reader::create(name, {kSizes, Sequences::consecutive, world.holdings()});
    Writer writer = Writer::connect(name, {kTimeout, kTimeout, world.holdings()});
    const FrameHeader sound{kFrame.size, write_planned(writer, kFrame)};
    RawBuffer raw(name);
    raw.set_header_at(0, spoilt(corruption, sound));
    const Attempt attempt(corruption, [&] { reader.read(kTimeout); });
    world.log().info(corruption + ": " + attempt.outcome());
    check_outcome(corruption, attempt);
    raw.set_header_at(0, sound);
    const auto frame = reader.read(kTimeout);
    expect(frame.has_value(), corruption + ": expected the frame once its header is sound, found "
                                           "none");
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
                         try_corruption(world, row.text("corruption_type"));
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
