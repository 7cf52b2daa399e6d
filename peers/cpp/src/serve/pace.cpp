#include "serve/pace.hpp"

#include <algorithm>
#include <string>

#include "serve/check.hpp"
#include "serve/patience.hpp"
#include "serve/world.hpp"

namespace zerobuffer::serve {

namespace {

constexpr const char* kKey = "reader.pace-in-ms";
// What a write may take that is not held up.
constexpr Milliseconds kShortest{10};

}  // namespace

void tell_pace(World& world, Milliseconds pace) {
    world.tell(kKey, std::to_string(pace.count()));
}

std::optional<Milliseconds> told_pace(const rpc::StringMap& context) {
    const auto told = context.find(kKey);
    if (told == context.end()) return std::nullopt;
    return Milliseconds(std::stoll(told->second));
}

void expect_held_to(Milliseconds pace, std::size_t fewest, const WritingProgress& progress) {
    expect(progress.was_full, "expected a writer that met a full buffer, found none");
    const std::size_t writes = progress.times.size();
    const Milliseconds least = std::max(pace / 2, kShortest);
    const std::size_t held_up = progress.took_at_least(least);
    expect(held_up >= fewest && 2 * held_up >= writes,
           "expected at least " + std::to_string(fewest) + " writes to a full buffer, and half of " +
               std::to_string(writes) + ", to take " + text_of(least) + ", found " +
               std::to_string(held_up));
}

}  // namespace zerobuffer::serve
