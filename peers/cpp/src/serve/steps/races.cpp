// Steps of "Edge cases" with further processes.

#include <unistd.h>

#include <exception>

#include "channel/error.hpp"
#include "serve/race.hpp"
#include "serve/second_writer.hpp"
#include "serve/steps/all.hpp"
#include "serve/world.hpp"

namespace zerobuffer::serve::steps {

namespace {

using enum StepType;

constexpr FramePlan kFrame{1024, Fill::own_sequence};
constexpr std::uint64_t kSmallest = FrameHeader::kSize + 1;
constexpr int kRaceRounds = 100;
constexpr std::uint64_t kTotal = FrameHeader::kSize + kFrame.size;

void fill_to(World& world, const StepArguments& arguments) {
    WriterRole& role = world.writers.find(arguments.role);
    const RawBuffer raw = role.raw();
    const std::uint64_t wanted = raw.field(Field::payload_size) * arguments.number(0) / 100;
    while (raw.used() < wanted) role.write(kFrame);
}

// The last frame is as large as what is left, so that not a byte is.
void fill_to_the_end(World& world, const StepArguments& arguments) {
    WriterRole& role = world.writers.find(arguments.role);
    const RawBuffer raw = role.raw();
    while (const std::uint64_t free = raw.field(Field::payload_free_bytes)) {
        const bool one_more = free == kTotal || free >= kTotal + kSmallest;
        expect(one_more || free >= kSmallest,
               "expected room for a last frame, found " + std::to_string(free) + " bytes");
        role.write(one_more ? kFrame : FramePlan{free - FrameHeader::kSize, Fill::own_sequence});
    }
    expect_equal("payload_free_bytes", 0U, raw.field(Field::payload_free_bytes));
}

void attach_second(World& world, const StepArguments& arguments) {
    const BufferName name(world.name_on_machine(arguments.text(0)));
    world.second_writer = attach_in_another_process(name);
    world.log().info("the second writer's process says: " + *world.second_writer);
}

// The error names the writer that is attached; where that is this process, its id is known.
void check_second_refused(World& world, const StepArguments&) {
    const std::string kind = kind_of(typeid(WriterAlreadyConnected));
    const std::string found = world.second_writer.value_or("no second writer");
    expect(found.starts_with(kind + " "), "the second writer: expected " + kind + ", found " +
                                              found);
    const BufferName& name = world.buffer();
    const std::uint64_t writer = RawBuffer(name).field(Field::writer_pid);
    if (!world.writers.empty()) {
        expect_equal("writer_pid", static_cast<std::uint64_t>(::getpid()), writer);
    }
    const WriterAlreadyConnected expected(name.text(), writer);
    expect_equal("the second writer", describe(std::make_exception_ptr(expected)), found);
}

void race(World& world, const StepArguments& arguments) {
    const BufferName name(world.name_on_machine(arguments.text(0)));
    world.use_buffer(name);
    Race race(name, world.holdings());
    race.run(kRaceRounds);
    world.tell("wins", race.wins());
    world.tell("losses", race.losses());
    world.tell("intact", std::to_string(race.intact()));
}

// What both processes told. Throws StepFailure where it is not of two.
std::vector<std::string> told_by_both(const StepArguments& arguments, const std::string& key) {
    std::vector<std::string> values;
    for (const auto& [process, value] : told_by_process(arguments.context, key)) {
        values.push_back(value);
    }
    expect_equal("processes that told their " + key, 2U, values.size());
    return values;
}

void check_one_winner(World&, const StepArguments& arguments) {
    const auto wins = told_by_both(arguments, "wins");
    for (const std::string& rounds : wins) {
        expect_equal("rounds", static_cast<std::size_t>(kRaceRounds), rounds.size());
    }
    for (std::size_t i = 0; i < wins[0].size(); ++i) {
        expect_equal("winners of round " + std::to_string(i + 1), 1,
                     (wins[0][i] == '1') + (wins[1][i] == '1'));
    }
}

void check_losses(World&, const StepArguments& arguments) {
    const std::string expected = kind_of(typeid(ReaderAlreadyConnected)) + "=";
    std::size_t lost = 0;
    for (const std::string& losses : told_by_both(arguments, "losses")) {
        if (losses.empty()) continue;
        const bool only = losses.starts_with(expected) && losses.find(',') == std::string::npos;
        expect(only, "errors of those that lost: expected only " + expected + "..., found " +
                         losses);
        lost += std::stoul(losses.substr(expected.size()));
    }
    expect_equal("rounds that ended in this error for one", static_cast<std::size_t>(kRaceRounds),
                 lost);
}

void check_race_left_no_damage(World& world, const StepArguments& arguments) {
    std::size_t intact = 0;
    for (const std::string& count : told_by_both(arguments, "intact")) intact += std::stoul(count);
    expect_equal("sound buffers that were won", static_cast<std::size_t>(kRaceRounds), intact);
    const BufferFilesSeen files(world.buffer());
    expect(files.count() == 0, "expected that no file is left, found " + files.existing());
    expect(!identity_of(Meeting::path(world.buffer())),
           "expected that the meeting's file is gone, found " + Meeting::path(world.buffer()));
}

}  // namespace

void add_races(StepRegistry& registry) {
    registry.add({when}, R"(fills buffer to '(\d+)%' capacity)", fill_to);
    registry.add({when}, R"(continues filling buffer to '100%')", fill_to_the_end);
    registry.add({when}, R"(a second writer process attempts to connect to buffer '([^']+)')",
                 attach_second);
    registry.add({then}, R"(the second writer should fail with writer exists error)",
                 check_second_refused);
    registry.add({given}, R"(two '([^']+)' processes)", [](World& world, const auto& a) {
        world.log().info("one of two of role " + a.text(0));
    });
    registry.add({when}, R"(both simultaneously attempt to create buffer '([^']+)')", race);
    registry.add({then}, R"(only one should succeed)", check_one_winner);
    registry.add({then}, R"(other should receive appropriate error)", check_losses);
    registry.add({then}, R"(no resource corruption should occur)", check_race_left_no_damage);
}

}  // namespace zerobuffer::serve::steps
