#pragma once
// A buffer's segment: its fields and blocks. The sizes are private copies, checked once.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

#include "channel/layout.hpp"
#include "channel/shared_memory.hpp"

namespace zerobuffer {

// Who uses a buffer, by its header.
struct Pids {
    std::uint64_t reader;
    std::uint64_t writer;
};

class Segment {
public:
    // A nameless one, filled in for this process as its reader. Throws NoSpace.
    static Segment create(const BufferName& name, const BlockSizes& sizes);
    // Throws NotReady until its reader has made it, IncompatibleVersion, Corrupt.
    static Segment open(const BufferName& name);
    // The ids in its header, also of one that cannot be attached to any more. Throws NotReady where
    // there is no header yet, IncompatibleVersion.
    static Pids pids(const BufferName& name);

    bool publish(const BufferName& name) { return memory_.publish(name); }

    std::atomic_ref<std::uint64_t> field(Field field) const noexcept {
        // The mapping begins at a page and all offsets are multiples of 8.
        auto* at = memory_.data() + static_cast<std::size_t>(field);
        return std::atomic_ref(*reinterpret_cast<std::uint64_t*>(at));
    }

    std::span<std::byte> metadata() const noexcept {
        return {memory_.data() + kOiebSize, sizes_.metadata};
    }
    std::span<std::byte> payload() const noexcept {
        return {memory_.data() + kOiebSize + sizes_.metadata, sizes_.payload};
    }
    const FileIdentity& identity() const noexcept { return memory_.identity(); }

private:
    Segment(SharedMemory memory, BlockSizes sizes) : memory_(std::move(memory)), sizes_(sizes) {}

    SharedMemory memory_;
    BlockSizes sizes_;
};

}  // namespace zerobuffer
