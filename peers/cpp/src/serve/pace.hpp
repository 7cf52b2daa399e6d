#pragma once
// How fast a reader reads, and whether a writer was held to it.

#include <cstddef>
#include <optional>

#include "channel/clock.hpp"
#include "rpc/params.hpp"
#include "serve/background_writing.hpp"

namespace zerobuffer::serve {

class World;

// For later steps, in whatever process: how long the reader keeps each frame.
void tell_pace(World& world, Milliseconds pace);
// What an earlier step told of it. Readers in another language need not tell.
std::optional<Milliseconds> told_pace(const rpc::StringMap& context);

// Throws StepFailure unless at least `fewest` of the writes since the ring was full, and half of
// them, took half of the reader's pace or longer. On a busy machine a write begins late and takes
// less for it, but that is made up for by what the one before it took; so not every write is judged.
void expect_held_to(Milliseconds pace, std::size_t fewest, const WritingProgress& progress);

}  // namespace zerobuffer::serve
