#pragma once
// The step definitions, a file for each feature file.

#include "serve/step_registry.hpp"

namespace zerobuffer::serve {
class Attempt;
class RawBuffer;
class WriterRole;
}

namespace zerobuffer::serve::steps {

void add_basic(StepRegistry& registry);
void add_lifecycle(StepRegistry& registry);
void add_errors(StepRegistry& registry);
void add_edge_cases(StepRegistry& registry);
void add_races(StepRegistry& registry);
void add_corruption(StepRegistry& registry);
void add_synchronization(StepRegistry& registry);
void add_advanced_errors(StepRegistry& registry);
void add_duplex_server(StepRegistry& registry);
void add_duplex_client(StepRegistry& registry);

// All of them.
StepRegistry all();

// Several features ask for these.
void check_metadata_too_large(World& world, const StepArguments& arguments);
void attempt_next_write(World& world, const StepArguments& arguments);
void expect_reader_death(World& world, const StepArguments& arguments);
// A write that ran out of time, because there was no room for a frame of this size. Nothing has
// happened to the ring since.
void expect_buffer_full(const Attempt& attempt, const RawBuffer& raw, std::uint64_t size);
// Until a writer that goes on in the background without end has used all that the reader gave back.
void await_full_ring(WriterRole& role);
void check_flow_control(World& world, const StepArguments& arguments);
// The byte that every byte of a request is changed with, from its text; and where servers tell it.
std::byte xor_key(const std::string& text);
inline constexpr const char* kXorKeyTold = "server.xor-key";
void check_semaphore_counts_unread(World& world, const StepArguments& arguments);

}  // namespace zerobuffer::serve::steps
