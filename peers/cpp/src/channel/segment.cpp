#include "channel/segment.hpp"

#include <unistd.h>

#include <string>

#include "channel/error.hpp"

namespace zerobuffer {

namespace {

using enum std::memory_order;

std::uint32_t load_u32(const SharedMemory& memory, std::size_t offset) {
    return std::atomic_ref(*reinterpret_cast<std::uint32_t*>(memory.data() + offset)).load(acquire);
}

void store_u32(const SharedMemory& memory, std::size_t offset, std::uint32_t value) {
    std::atomic_ref(*reinterpret_cast<std::uint32_t*>(memory.data() + offset)).store(value, release);
}

std::uint64_t load_u64(const SharedMemory& memory, Field field) {
    auto* at = memory.data() + static_cast<std::size_t>(field);
    return std::atomic_ref(*reinterpret_cast<std::uint64_t*>(at)).load(acquire);
}

// A segment that is being made is zero where nothing has been written yet.
void check_version(const BufferName& name, const SharedMemory& memory) {
    const std::uint32_t oieb_size = load_u32(memory, kOiebSizeOffset);
    if (oieb_size == 0) throw NotReady(name.text(), "its header is empty yet");
    if (oieb_size != kOiebSize) {
        throw IncompatibleVersion(name.text(), "its header has " + std::to_string(oieb_size) +
                                                   " bytes instead of 128");
    }
    const std::uint32_t version = load_u32(memory, kVersionOffset);
    if (version == 0) throw NotReady(name.text(), "its header has no version yet");
    if ((version & 0xFF) != kMajorVersion) {
        throw IncompatibleVersion(name.text(), "its protocol has major version " +
                                                   std::to_string(version & 0xFF) +
                                                   " instead of 1");
    }
}

BlockSizes checked_sizes(const BufferName& name, const SharedMemory& memory) {
    const BlockSizes sizes{load_u64(memory, Field::metadata_size),
                           load_u64(memory, Field::payload_size)};
    if (sizes.payload == 0) throw NotReady(name.text(), "its header has no sizes yet");
    if (load_u64(memory, Field::reader_pid) == 0) throw NotReady(name.text(), "it has no reader");
    const std::uint64_t blocks = memory.size() - kOiebSize;
    if (sizes.metadata > blocks || sizes.payload != blocks - sizes.metadata) {
        throw Corrupt(name.text(), "blocks of " + std::to_string(sizes.metadata) + " and " +
                                       std::to_string(sizes.payload) +
                                       " bytes do not make a segment of " +
                                       std::to_string(memory.size()));
    }
    return sizes;
}

}  // namespace

Segment Segment::create(const BufferName& name, const BlockSizes& sizes) {
    Segment segment(SharedMemory::create(name, sizes.segment()), sizes);
    store_u32(segment.memory_, kOiebSizeOffset, kOiebSize);
    store_u32(segment.memory_, kVersionOffset, kMajorVersion);
    segment.field(Field::metadata_size).store(sizes.metadata, relaxed);
    segment.field(Field::metadata_free_bytes).store(sizes.metadata, relaxed);
    segment.field(Field::payload_size).store(sizes.payload, relaxed);
    segment.field(Field::payload_free_bytes).store(sizes.payload, relaxed);
    segment.field(Field::reader_pid).store(static_cast<std::uint64_t>(::getpid()), release);
    return segment;
}

Segment Segment::open(const BufferName& name) {
    SharedMemory memory = SharedMemory::open(name, kOiebSize);
    check_version(name, memory);
    const BlockSizes sizes = checked_sizes(name, memory);
    return Segment(std::move(memory), sizes);
}

Pids Segment::pids(const BufferName& name) {
    const SharedMemory memory = SharedMemory::open(name, kOiebSize);
    check_version(name, memory);
    return {load_u64(memory, Field::reader_pid), load_u64(memory, Field::writer_pid)};
}

}  // namespace zerobuffer
