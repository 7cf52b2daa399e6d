// Steps of "Synchronization".

#include <thread>

#include "channel/error.hpp"
#include "serve/pace.hpp"
#include "serve/steps/all.hpp"
#include "serve/world.hpp"

namespace zerobuffer::serve::steps {

namespace {

using enum StepType;

constexpr FramePlan kFrame{1024, Fill::own_sequence};
constexpr Milliseconds kFrameTimeout{5000};
constexpr std::uint64_t kSlowFrames = 20;

void check_sequence_numbers(World& world, const StepArguments& arguments) {
    const auto error = world.attempted().expect_failure<SequenceBroken>();
    expect_equal("expected sequence in the error", arguments.number(0), error.expected);
    expect_equal("found sequence in the error", arguments.number(1), error.got);
}

const Stream& read_count(World& world, const StepArguments& arguments, std::uint64_t count,
                         Milliseconds pause = Milliseconds{0}) {
    const Stream& stream = world.readers.find(arguments.role)
                               .read_stream({count, pause, kFrameTimeout});
    expect_equal("how reading ended", to_string(Stream::End::count), to_string(stream.end));
    return stream;
}

void check_all_received(World& world, const StepArguments& arguments) {
    ReaderRole& role = world.readers.find(arguments.role);
    role.stream().expect_consecutive_from(1);
    role.expect_nothing_unread();
}

void check_blocked_when_full(World& world, const StepArguments& arguments) {
    // Where the reader does not tell: that of the scenario.
    constexpr Milliseconds kPace{100};
    constexpr std::size_t kFewest = kSlowFrames * 3 / 4;
    WriterRole& role = world.writers.find(arguments.role);
    await_full_ring(role);
    expect_held_to(told_pace(arguments.context).value_or(kPace), kFewest, role.progress());
}

void check_both_frames(World& world, const StepArguments& arguments) {
    const Stream& stream = read_count(world, arguments, 2);
    stream.expect_consecutive_from(1);
    stream.expect_right_data();
}

void check_semaphore_is_used_up(World& world, const StepArguments& arguments) {
    ReaderRole& role = world.readers.find(arguments.role);
    role.expect_nothing_unread();
    expect_equal("unread frames", 0U, role.raw().unread().frames);
    expect_equal("value of the data semaphore", 0U, role.raw().data_semaphore());
}

}  // namespace

void add_synchronization(StepRegistry& registry) {
    registry.add({then}, R"(the read should fail with sequence error)",
                 [](World& world, const auto&) {
                     world.attempted().expect_failure<SequenceBroken>();
                 });
    registry.add({then}, R"(the error should show expected '(\d+)' got '(\d+)')",
                 check_sequence_numbers);
    registry.add({when}, R"(waits '(\d+)' seconds? before reading)",
                 [](World&, const auto& a) {
                     std::this_thread::sleep_for(std::chrono::seconds(a.number(0)));
                 });
    registry.add({when}, R"(reads all '(\d+)' frames)", [](World& world, const auto& a) {
        read_count(world, a, a.number(0));
    });
    registry.add({then}, R"(all frames should be received correctly)", check_all_received);
    registry.add({then}, R"(data integrity should be maintained)", [](World& world, const auto& a) {
        world.readers.find(a.role).stream().expect_right_data();
    });
    registry.add({when}, R"(writes frames continuously)", [](World& world, const auto& a) {
        world.writers.find(a.role).write_on({kFrame});
    });
    registry.add({when}, R"(reads one frame every '(\d+)' ms)", [](World& world, const auto& a) {
        const Milliseconds pace(a.number(0));
        tell_pace(world, pace);
        read_count(world, a, kSlowFrames, pace).expect_right_data();
    });
    registry.add({then}, R"(should block when buffer full)", check_blocked_when_full);
    registry.add({when},
                 R"((?:writes frame and signal|immediately writes another frame before reader wakes))",
                 [](World& world, const auto& a) { world.writers.find(a.role).write(kFrame); });
    registry.add({then}, R"(should process both frames correctly)", check_both_frames);
    registry.add({then}, R"(the semaphore count should reflect pending frames)",
                 check_semaphore_is_used_up);
}

}  // namespace zerobuffer::serve::steps
