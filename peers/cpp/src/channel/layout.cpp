#include "channel/layout.hpp"

#include <limits>
#include <string>

#include "channel/error.hpp"

namespace zerobuffer {

namespace {

// Below a quarter of what a file can have, so that no sum of two overflows.
constexpr std::uint64_t kLargestBlock = std::numeric_limits<std::int64_t>::max() / 4;

std::uint64_t round_up(std::uint64_t size) {
    return (size + kBlockAlignment - 1) / kBlockAlignment * kBlockAlignment;
}

}  // namespace

BlockSizes BlockSizes::rounded(const BufferName& name) const {
    if (payload == 0) throw InvalidSize(name.text(), "a payload block of 0 bytes");
    if (metadata > kLargestBlock || payload > kLargestBlock) {
        throw InvalidSize(name.text(), "blocks of " + std::to_string(metadata) + " and " +
                                           std::to_string(payload) + " bytes");
    }
    return {round_up(metadata), round_up(payload)};
}

}  // namespace zerobuffer
