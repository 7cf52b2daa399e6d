#pragma once
// The lock file that says whose buffer it is: held by the reader for its life.

#include "channel/file.hpp"
#include "channel/name.hpp"

namespace zerobuffer {

class FileLock {
public:
    // Throws ReaderAlreadyConnected when another process holds it.
    static FileLock acquire(const BufferName& name);

    // Whether the lock's name still means the file that is locked.
    bool in_place() const noexcept { return file_.in_place(); }
    // Removes the file, then lets go.
    void release() noexcept;

private:
    FileLock(Descriptor descriptor, NamedFile file)
        : descriptor_(std::move(descriptor)), file_(std::move(file)) {}

    // In this order, so that the file is removed before the lock is let go of.
    Descriptor descriptor_;
    NamedFile file_;
};

}  // namespace zerobuffer
