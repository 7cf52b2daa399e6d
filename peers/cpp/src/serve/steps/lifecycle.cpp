// Steps of "Process lifecycle".

#include <unistd.h>

#include "channel/error.hpp"
#include "serve/death_watch.hpp"
#include "serve/steps/all.hpp"
#include "serve/world.hpp"

namespace zerobuffer::serve::steps {

namespace {

using enum StepType;

constexpr Milliseconds kReadTimeout{5000};
constexpr Milliseconds kConnectTimeout{5000};
constexpr FramePlan kFrame{1024, Fill::own_sequence};

void read_from_dead_writer(World& world, const StepArguments& arguments) {
    Reader& reader = world.readers.find(arguments.role).reader();
    const Attempt attempt("the next read", [&] { reader.read(kReadTimeout); });
    attempt.expect_failure<WriterDead>();
    expect_noticed(attempt, "the writer's death");
}

void write_to_dead_reader(World& world, const StepArguments& arguments) {
    WriterRole& role = world.writers.find(arguments.role);
    const Attempt attempt("the next write", [&] { role.write(kFrame); });
    attempt.expect_failure<ReaderDead>();
    expect_noticed(attempt, "the reader's death");
}

void fill_completely(World& world, const StepArguments& arguments) {
    WriterRole& role = world.writers.find(arguments.role);
    role.write_until_full(kFrame);
    const std::uint64_t free = role.raw().field(Field::payload_free_bytes);
    expect(free < FrameHeader::kSize + kFrame.size,
           "expected no room for another frame, found " + std::to_string(free) + " bytes free");
}

void move_over(World& world, const StepArguments& arguments) {
    WriterRole& role = world.writers.find(arguments.role);
    const Attempt attempt("writing on", [&] {
        for (;;) role.write(kFrame, kReadTimeout);
    });
    attempt.expect_failure<ReaderDead>();
    expect_noticed(attempt, "the reader's death");
    world.connect_writer(arguments.role, arguments.text(0), kConnectTimeout);
}

void attempt_to_create(World& world, const StepArguments& arguments) {
    world.leftovers = BufferFilesSeen(BufferName(world.name_on_machine(arguments.text(0))));
    world.log().info("found " + world.leftovers->existing() + ", of process " +
                     std::to_string(world.leftovers->owner()));
    world.attempt("creating buffer '" + arguments.text(0) + "'", [&] {
        world.create_reader(arguments.role, arguments.text(0),
                            {arguments.number(1), arguments.number(2)});
    });
}

const BufferFilesSeen& leftovers(const World& world) {
    expect(world.leftovers.has_value(), "no buffer has been attempted to be created");
    return *world.leftovers;
}

void check_stale(World& world, const StepArguments&) {
    const BufferFilesSeen& before = leftovers(world);
    expect(before.count() == before.files.size(),
           "expected leftovers of segment, semaphores and lock file, found " + before.existing());
    expect(before.owner() != 0 && !before.owner_lives(),
           "expected them to be a dead reader's, found process " +
               std::to_string(before.owner()) + (before.owner_lives() ? ", which lives" : ""));
}

// A lock file is no leftover that has to go: whoever holds its lock owns it, so a dead reader's may
// have been taken over. All others have to be new ones.
void check_cleaned_up(World& world, const StepArguments&) {
    const BufferFilesSeen& before = leftovers(world);
    const BufferFilesSeen now(world.buffer());
    expect(now.count() == now.files.size(), "expected four files, found " + now.existing());
    for (std::size_t i = 0; i + 1 < now.files.size(); ++i) {
        expect(now.files[i].identity != before.files[i].identity,
               "expected a new " + now.files[i].path + ", found the one that was left over");
    }
    expect(is_locked(world.buffer()), "expected a lock that is held, found " +
                                          now.files.back().path + " not locked");
}

void check_fresh(World& world, const StepArguments& arguments) {
    world.attempted().expect_success();
    const RawBuffer raw = world.readers.find(arguments.role).raw();
    const auto check = [&raw](const std::string& what, Field field, std::uint64_t expected) {
        expect_equal(what, expected, raw.field(field));
    };
    expect_equal("oieb_size", kOiebSize, raw.oieb_size());
    check("metadata_free_bytes", Field::metadata_free_bytes, raw.field(Field::metadata_size));
    check("metadata_written_bytes", Field::metadata_written_bytes, 0);
    check("payload_free_bytes", Field::payload_free_bytes, raw.field(Field::payload_size));
    check("payload_write_pos", Field::payload_write_pos, 0);
    check("payload_read_pos", Field::payload_read_pos, 0);
    check("payload_written_count", Field::payload_written_count, 0);
    check("payload_read_count", Field::payload_read_count, 0);
    check("writer_pid", Field::writer_pid, 0);
    check("reader_pid", Field::reader_pid, static_cast<std::uint64_t>(::getpid()));
}

}  // namespace

void add_lifecycle(StepRegistry& registry) {
    registry.add({given}, R"(we run in harmony)",
                 [](World& world, const auto&) { world.log().info("ready"); });
    registry.add({given, when}, R"(writes frame with data '([^']+)')",
                 [](World& world, const auto& a) {
                     world.writers.find(a.role).writer().write(text_bytes(a.text(0)));
                 });
    registry.add({then}, R"(should read frame with data '([^']+)')",
                 [](World& world, const auto& a) {
                     const FrameRecord& frame = world.readers.find(a.role).read_one();
                     expect_bytes("frame " + std::to_string(frame.sequence),
                                  text_bytes(a.text(0)), frame.data);
                 });
    registry.add({then}, R"(should timeout or detect writer death on next read)",
                 read_from_dead_writer);
    registry.add({when}, R"(fills buffer completely)", fill_completely);
    registry.add({then}, R"(should detect reader death on next write)", write_to_dead_reader);
    registry.add({when}, R"(detects reader death and reconnects to buffer '([^']+)')", move_over);
    registry.add(
        {when},
        R"(attempts to create buffer '([^']+)' with metadata size '(\d+)' and payload size '(\d+)')",
        attempt_to_create);
    registry.add({then}, R"(the new reader should detect stale resources)", check_stale);
    registry.add({then}, R"(the new reader should clean up stale resources)", check_cleaned_up);
    registry.add({then}, R"(the new reader should create fresh buffer successfully)", check_fresh);
    registry.add({when}, R"(attempts to connect to (?:non-existent )?buffer '([^']+)')",
                 [](World& world, const auto& a) {
                     world.attempt("connecting to buffer '" + a.text(0) + "'", [&] {
                         world.connect_writer(a.role, a.text(0), Milliseconds{0},
                                              World::Earlier::kept);
                     });
                 });
    registry.add({then}, R"(the connection should fail with writer exists error)",
                 [](World& world, const auto&) {
                     const auto error = world.attempted().expect_failure<WriterAlreadyConnected>();
                     expect_equal("the writer that is named",
                                  RawBuffer(world.buffer()).field(Field::writer_pid), error.pid);
                 });
}

}  // namespace zerobuffer::serve::steps
