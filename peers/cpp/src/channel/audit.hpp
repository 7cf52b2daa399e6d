#pragma once
// Whether the account of a ring is in order: free bytes, positions, the numbers of its frames and the
// posts for them have to tell the same story.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "channel/ring.hpp"

namespace zerobuffer {

struct Account {
    std::uint64_t free_bytes;
    std::uint64_t write_position;
    std::uint64_t frames_read;
    // Those that the reader has taken and those that are there, without its own.
    std::int64_t posts;
    // Whether the next frame has been refused for its number: that is told of already.
    bool number_refused = false;

    bool operator==(const Account&) const = default;
};

// What is not in order; nothing where all is. `ring` is its reader's, and goes over what is unread.
std::optional<std::string> find_disorder(ReadRing ring, std::span<const std::byte> payload,
                                         const Account& account);

// What came of an audit. All is in order where it says nothing.
struct Audit {
    std::optional<std::string> disorder{};
    // Why nobody can tell.
    std::optional<std::string> unknown{};
};

}  // namespace zerobuffer
