#pragma once
// Everything that a buffer is on the system: lock file, two semaphores, segment.

#include <optional>
#include <string>

#include "channel/file_lock.hpp"
#include "channel/segment.hpp"
#include "channel/semaphore.hpp"

namespace zerobuffer {

// Something with a file, and the file, which goes with it.
template <class Thing>
struct Owned {
    Owned(Thing thing, std::string path)
        : thing(std::move(thing)), file(std::move(path), this->thing.identity()) {}

    Thing thing;
    NamedFile file;
};

class BufferFiles {
public:
    // Makes them all, removing leftovers of the name; what was made goes with a failure.
    static BufferFiles create(const BufferName& name, const BlockSizes& sizes);

    const Segment& segment() const noexcept { return segment_.thing; }
    Semaphore& data() noexcept { return data_.thing; }
    Semaphore& space() noexcept { return space_.thing; }

    // Removes the names, the lock last. The segment stays mapped, the semaphores stay open.
    void remove() noexcept;

private:
    BufferFiles(FileLock lock, Owned<Semaphore> data, Owned<Semaphore> space,
                Owned<Segment> segment);

    static std::optional<BufferFiles> try_create(const BufferName& name, const BlockSizes& sizes);
    bool in_place() const noexcept;

    // In this order, so that the lock goes last.
    FileLock lock_;
    Owned<Semaphore> data_;
    Owned<Semaphore> space_;
    Owned<Segment> segment_;
};

// Removes what a dead reader left under this name, unless somebody else is at it: a living reader or
// writer, or somebody who is making the buffer.
void remove_leftovers_of_dead_reader(const BufferName& name);

}  // namespace zerobuffer
