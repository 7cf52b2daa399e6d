// Steps of "Basic communication".

#include <sstream>

#include "channel/error.hpp"
#include "serve/steps/all.hpp"
#include "serve/world.hpp"

namespace zerobuffer::serve::steps {

namespace {

using enum StepType;

constexpr Milliseconds kReadTimeout{5000};
constexpr Milliseconds kWriteTimeout{5000};
constexpr Milliseconds kFillTimeout{100};
constexpr Milliseconds kFailTimeout{200};
constexpr Milliseconds kLate{100};      // how much later than its time-out a write may fail
constexpr Milliseconds kImmediate{50};  // how long a write that finds room may take
constexpr std::uint64_t kDefaultFrame = 1024;

Milliseconds since(TimePoint start) {
    return std::chrono::duration_cast<Milliseconds>(Clock::now() - start);
}

std::string text_of(Milliseconds time) { return std::to_string(time.count()) + " ms"; }

void create_buffer(World& world, const StepArguments& arguments) {
    const std::string& buffer = arguments.text(0);
    const BufferName name(world.name_on_machine(buffer));
    const BlockSizes sizes{arguments.number(1), arguments.number(2)};
    world.readers.remove(arguments.role, buffer);
    Reader reader = Reader::create(name, {sizes, Sequences::consecutive, world.holdings()});
    world.readers.add(arguments.role, buffer,
                      std::make_unique<ReaderRole>(ReaderRole{std::move(reader)}));
    world.log().info("created buffer " + name.text());
}

void connect(World& world, const StepArguments& arguments) {
    const std::string& buffer = arguments.text(0);
    const BufferName name(world.name_on_machine(buffer));
    world.writers.remove(arguments.role, buffer);
    Writer writer = Writer::connect(name, {Milliseconds{5000}, kWriteTimeout, world.holdings()});
    world.writers.add(arguments.role, buffer,
                      std::unique_ptr<WriterRole>(new WriterRole{std::move(writer)}));
    world.log().info("connected to buffer " + name.text());
}

void write_until_full(World& world, const StepArguments& arguments) {
    WriterRole& role = world.writers.find(arguments.role);
    role.writer.set_write_timeout(kFillTimeout);
    std::uint64_t written = 0;
    try {
        for (;; ++written) {
            Loan loan = role.writer.loan(kDefaultFrame);
            fill_pattern(loan.data(), loan.sequence());
            loan.commit();
        }
    } catch (const BufferFull& full) {
        world.log().info(std::to_string(written) + " frames, then " + full.what());
    }
    role.writer.set_write_timeout(kWriteTimeout);
    expect(written > 0, "expected some frames before the buffer is full, found it full at once");
}

void write_times_out(World& world, const StepArguments& arguments) {
    WriterRole& role = world.writers.find(arguments.role);
    role.writer.set_write_timeout(kFailTimeout);
    const TimePoint start = Clock::now();
    bool full = false;
    try {
        role.writer.write(pattern(kDefaultFrame));
    } catch (const BufferFull& error) {
        full = true;
        world.log().info(error.what());
    }
    const Milliseconds took = since(start);
    role.writer.set_write_timeout(kWriteTimeout);
    expect(full, "expected the write to fail on a full buffer, found that it succeeded");
    expect(took >= kFailTimeout && took < kFailTimeout + kLate,
           "expected the write to fail after its time-out of " + text_of(kFailTimeout) +
               " and no more than " + text_of(kLate) + " later, found " + text_of(took));
}

void write_immediately(World& world, const StepArguments& arguments) {
    WriterRole& role = world.writers.find(arguments.role);
    const Bytes data = pattern(kDefaultFrame);
    const TimePoint start = Clock::now();
    role.writer.write(data);
    const Milliseconds took = since(start);
    expect(took < kImmediate,
           "expected a write in under " + text_of(kImmediate) + ", found " + text_of(took));
}

void write_in_background(World& world, const StepArguments& arguments) {
    WriterRole& role = world.writers.find(arguments.role);
    const std::uint64_t count = arguments.number(0);
    const std::uint64_t size = arguments.number(1);
    expect(!role.background.joinable(), "the writer is writing in the background already");
    role.background = std::jthread([&writer = role.writer, &log = world.log(), count, size] {
        try {
            for (std::uint64_t i = 0; i < count; ++i) {
                Loan loan = writer.loan(size);
                fill_pattern(loan.data(), loan.sequence());
                loan.commit();
            }
            log.info("wrote " + std::to_string(count) + " frames in the background");
        } catch (const std::exception& error) {
            // The reader misses the rest, and says so.
            log.error(std::string("writing in the background: ") + error.what());
        }
        writer.close();
    });
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
    registry.add({when}, R"(connects to buffer '([^']+)')", connect);
    registry.add({when}, R"(writes metadata with size '(\d+)')", [](World& world, const auto& a) {
        world.writers.find(a.role).writer.set_metadata(pattern(a.number(0)));
    });
    registry.add({when}, R"(writes frame with size '(\d+)' and sequence '(\d+)')",
                 [](World& world, const auto& a) {
                     Writer& writer = world.writers.find(a.role).writer;
                     const auto sequence = writer.write(pattern(a.number(0), a.number(1)));
                     expect_equal("sequence of the frame written", a.number(1), sequence);
                 });
    registry.add({when}, R"(writes frame with sequence '(\d+)')", [](World& world, const auto& a) {
        Writer& writer = world.writers.find(a.role).writer;
        const auto sequence = writer.write(pattern(kDefaultFrame, a.number(0)));
        expect_equal("sequence of the frame written", a.number(0), sequence);
    });
    registry.add({when}, R"(writes frame with size '(\d+)')", [](World& world, const auto& a) {
        world.writers.find(a.role).writer.write(pattern(a.number(0)));
    });
    registry.add({when}, R"(writes frames until buffer is full)", write_until_full);
    registry.add({then}, R"(should experience timeout on next write)", write_times_out);
    registry.add({then}, R"(should write successfully immediately)", write_immediately);
    registry.add({when}, R"(requests zero-copy frame of size '(\d+)')",
                 [](World& world, const auto& a) {
                     WriterRole& role = world.writers.find(a.role);
                     role.loan.reset();
                     role.loan = role.writer.loan(a.number(0));
                 });
    registry.add({when}, R"(fills zero-copy buffer with test pattern)", fill_loan);
    registry.add({when}, R"(commits zero-copy frame)", commit_loan);
    registry.add({when}, R"(writes '(\d+)' frames of size '(\d+)' as fast as possible)",
                 write_in_background);
}

// Reads a frame and keeps it until its space is given back; an earlier one is given back now.
const FrameRecord& read_one(ReaderRole& role) {
    role.held.reset();
    role.held = role.reader.read(kReadTimeout);
    expect(role.held.has_value(),
           "expected a frame, found none within " + text_of(kReadTimeout));
    const auto data = role.held->data();
    role.frames.push_back({role.held->sequence(), Bytes(data.begin(), data.end())});
    return role.frames.back();
}

const FrameRecord& last_frame(const ReaderRole& role) {
    expect(!role.frames.empty(), "no frame has been read yet");
    return role.frames.back();
}

void validate_last_frame(World& world, const StepArguments& arguments) {
    const FrameRecord& frame = last_frame(world.readers.find(arguments.role));
    expect_pattern("frame " + std::to_string(frame.sequence), frame.data, frame.sequence);
}

void give_space_back(World& world, const StepArguments& arguments) {
    ReaderRole& role = world.readers.find(arguments.role);
    expect(role.held.has_value(), "expected a frame that is held, found none to give back");
    role.held.reset();
    expect_equal("bytes still held by the reader", 0U, role.reader.held());
}

void read_sizes(World& world, const StepArguments& arguments) {
    ReaderRole& role = world.readers.find(arguments.role);
    std::istringstream sizes(arguments.text(1));
    std::uint64_t number = 0;
    for (std::string word; std::getline(sizes, word, ',');) {
        const std::string what = "frame number " + std::to_string(++number);
        const FrameRecord& frame = read_one(role);
        expect_equal(what + ", size in bytes", word, std::to_string(frame.data.size()));
        expect_pattern(what, frame.data);
        role.held.reset();
    }
    expect_equal("number of sizes in the step", arguments.number(0), number);
}

// Until the writer has left and nothing is unread.
void read_stream(World& world, const StepArguments& arguments) {
    ReaderRole& role = world.readers.find(arguments.role);
    const Milliseconds pause(arguments.number(0));
    role.held.reset();
    role.stream.clear();
    role.sequence_errors.clear();
    try {
        for (;;) {
            const auto frame = role.reader.read(kReadTimeout);
            if (!frame) continue;
            expect_pattern("frame " + std::to_string(frame->sequence()), frame->data(),
                           frame->sequence());
            role.stream.push_back(frame->sequence());
            if (frame->restarted()) role.sequence_errors.push_back("a writer began anew");
            if (pause.count() > 0) std::this_thread::sleep_for(pause);
        }
    } catch (const WriterDead&) {
        world.log().info("read " + std::to_string(role.stream.size()) + " frames to their end");
    } catch (const SequenceBroken& error) {
        // For the step that asks about it.
        role.sequence_errors.push_back(error.what());
        world.log().error(error.what());
    }
}

void check_stream_sequence(World& world, const StepArguments& arguments) {
    const ReaderRole& role = world.readers.find(arguments.role);
    expect(!role.stream.empty(), "expected frames, found that none was read");
    std::uint64_t expected = arguments.number(0);
    for (const std::uint64_t sequence : role.stream) {
        expect_equal("sequence of a frame", expected++, sequence);
    }
}

void check_frames_in_order(World& world, const StepArguments& arguments) {
    const ReaderRole& role = world.readers.find(arguments.role);
    expect(role.frames.size() > 1, "expected frames to compare, found " +
                                       std::to_string(role.frames.size()));
    for (std::size_t i = 1; i < role.frames.size(); ++i) {
        expect_equal("sequence of the frame after " + std::to_string(role.frames[i - 1].sequence),
                     role.frames[i - 1].sequence + 1, role.frames[i].sequence);
    }
}

void check_no_sequence_errors(World& world, const StepArguments& arguments) {
    const ReaderRole& role = world.readers.find(arguments.role);
    expect(!role.stream.empty() || !role.sequence_errors.empty(),
           "expected frames that were read, found none");
    expect(role.sequence_errors.empty(),
           "expected no sequence errors, found " + (role.sequence_errors.empty()
                                                        ? std::string()
                                                        : role.sequence_errors.front()));
}

void add_reading(StepRegistry& registry) {
    registry.add({given},
                 R"(creates buffer '([^']+)' with metadata size '(\d+)' and payload size '(\d+)')",
                 create_buffer);
    registry.add({then}, R"(should read frame with sequence '(\d+)' and size '(\d+)')",
                 [](World& world, const auto& a) {
                     const FrameRecord& frame = read_one(world.readers.find(a.role));
                     expect_equal("sequence of the frame", a.number(0), frame.sequence);
                     expect_equal("size of the frame", a.number(1), frame.data.size());
                 });
    registry.add({then}, R"(should read frame with sequence '(\d+)';?)",
                 [](World& world, const auto& a) {
                     const FrameRecord& frame = read_one(world.readers.find(a.role));
                     expect_equal("sequence of the frame", a.number(0), frame.sequence);
                 });
    registry.add({then}, R"(should read frame with size '(\d+)')", [](World& world, const auto& a) {
        const FrameRecord& frame = read_one(world.readers.find(a.role));
        expect_equal("size of the frame", a.number(0), frame.data.size());
    });
    registry.add({when}, R"(reads one frame)", [](World& world, const auto& a) {
        const FrameRecord& frame = read_one(world.readers.find(a.role));
        world.log().info("read frame " + std::to_string(frame.sequence) + " of " +
                         std::to_string(frame.data.size()) + " bytes");
    });
    registry.add({then}, R"(should validate frame data)", validate_last_frame);
    registry.add({then}, R"(should verify frame data matches test pattern)", validate_last_frame);
    registry.add({when, then}, R"(signals space available)", give_space_back);
    registry.add({then}, R"(should verify all frames maintain sequential order)",
                 check_frames_in_order);
    registry.add({then}, R"(should read '?(\d+)'? frames with sizes '([\d,]+)' in order)",
                 read_sizes);
    registry.add({when}, R"(reads frames with '(\d+)' ms delay between each read)", read_stream);
    registry.add({then}, R"(should have read '(\d+)' frames)", [](World& world, const auto& a) {
        expect_equal("frames read", a.number(0), world.readers.find(a.role).stream.size());
    });
    registry.add({then},
                 R"(should verify all frames have sequential sequence numbers starting from '(\d+)')",
                 check_stream_sequence);
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
