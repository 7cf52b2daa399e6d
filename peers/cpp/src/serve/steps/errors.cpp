// Steps of "Error handling".

#include "channel/error.hpp"
#include "serve/steps/all.hpp"
#include "serve/world.hpp"

namespace zerobuffer::serve::steps {

namespace {

using enum StepType;

constexpr FramePlan kFrame{1024, Fill::own_sequence};
constexpr std::uint64_t kFrames = 3;

// Other bytes than those of the first metadata, so that a change would show.
Bytes other_metadata(std::uint64_t size) {
    Bytes data = pattern(size);
    for (std::size_t i = 0; i < data.size(); ++i) data[i] = static_cast<std::byte>(i * 7 + 3);
    return data;
}

void attempt_metadata(World& world, const StepArguments& arguments, const Bytes& data) {
    Writer& writer = world.writers.find(arguments.role).writer();
    world.attempt("writing metadata", [&] { writer.set_metadata(data); }, data.size());
}

Bytes metadata_of(ReaderRole& role) {
    const auto metadata = role.reader().metadata();
    expect(metadata.has_value(), "expected metadata, found none");
    return *metadata;
}

void check_metadata(World& world, const StepArguments& arguments) {
    ReaderRole& role = world.readers.find(arguments.role);
    const Bytes metadata = metadata_of(role);
    expect_equal("size of the metadata", arguments.number(0), metadata.size());
    expect_pattern("metadata", metadata);
    role.metadata_seen = metadata;
}

void check_metadata_unchanged(World& world, const StepArguments& arguments) {
    ReaderRole& role = world.readers.find(arguments.role);
    expect(role.metadata_seen.has_value(), "no metadata has been seen before");
    expect_bytes("metadata", *role.metadata_seen, metadata_of(role));
}

void check_works_without_metadata(World& world, const StepArguments& arguments) {
    ReaderRole& role = world.readers.find(arguments.role);
    expect(!role.reader().metadata(), "expected no metadata, found some");
    const RawBuffer raw = role.raw();
    expect_equal("metadata_size", 0U, raw.field(Field::metadata_size));
    expect_equal("metadata_written_bytes", 0U, raw.field(Field::metadata_written_bytes));
    role.stream().expect_consecutive_from(1);
}

void read_frames(World& world, const StepArguments& arguments) {
    const Stream& stream = world.readers.find(arguments.role)
                               .read_stream({.count = kFrames, .patience = Milliseconds{5000}});
    expect_equal("how reading ended", to_string(Stream::End::count), to_string(stream.end));
    stream.expect_consecutive_from(1);
    stream.expect_right_data();
}

}  // namespace

void check_metadata_too_large(World& world, const StepArguments& arguments) {
    const Attempt& attempt = world.attempted();
    const auto error = attempt.expect_failure<MetadataTooLarge>();
    const RawBuffer raw = world.writers.find(arguments.role).raw();
    expect_equal("size in the error", attempt.size(), error.size);
    expect_equal("capacity in the error", raw.field(Field::metadata_size), error.capacity);
    expect_equal("metadata_written_bytes", 0U, raw.field(Field::metadata_written_bytes));
}

void add_errors(StepRegistry& registry) {
    registry.add({then}, R"(should have metadata with size '(\d+)')", check_metadata);
    registry.add({when}, R"(attempts to write metadata again with size '(\d+)')",
                 [](World& world, const auto& a) {
                     attempt_metadata(world, a, other_metadata(a.number(0)));
                 });
    registry.add({when}, R"(attempts to write metadata with size '(\d+)')",
                 [](World& world, const auto& a) {
                     attempt_metadata(world, a, pattern(a.number(0)));
                 });
    registry.add({then}, R"(verifies the second metadata write should fail)",
                 [](World& world, const auto&) {
                     world.attempted().expect_failure<MetadataAlreadyWritten>();
                 });
    registry.add({then}, R"(verifies the original metadata should remain unchanged)",
                 check_metadata_unchanged);
    registry.add({then}, R"(verifies the metadata write should fail with size error)",
                 check_metadata_too_large);
    registry.add({when}, R"(writes frames without metadata)", [](World& world, const auto& a) {
        WriterRole& role = world.writers.find(a.role);
        for (std::uint64_t i = 0; i < kFrames; ++i) role.write(kFrame);
    });
    registry.add({then}, R"(should read frames successfully)", read_frames);
    registry.add({then}, R"(verifies the system should work without metadata)",
                 check_works_without_metadata);
}

}  // namespace zerobuffer::serve::steps
