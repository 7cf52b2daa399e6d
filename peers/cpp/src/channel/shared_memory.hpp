#pragma once
// A mapped segment of /dev/shm.

#include <cstddef>
#include <cstdint>

#include "channel/file.hpp"
#include "channel/name.hpp"

namespace zerobuffer {

class SharedMemory {
public:
    // Nameless, zeroed, and with its memory reserved, so that no touch of it can fail later.
    // Throws NoSpace.
    static SharedMemory create(const BufferName& name, std::uint64_t size);
    // Throws BufferNotFound, or NotReady when it is shorter than `least` bytes.
    static SharedMemory open(const BufferName& name, std::uint64_t least);

    SharedMemory(SharedMemory&& other) noexcept;
    SharedMemory& operator=(SharedMemory&&) = delete;
    ~SharedMemory();

    // Gives a nameless one its name, whole as it is; false when the name is taken.
    bool publish(const BufferName& name);

    std::byte* data() const noexcept { return data_; }
    std::uint64_t size() const noexcept { return size_; }
    const FileIdentity& identity() const noexcept { return identity_; }

private:
    SharedMemory(const BufferName& name, Descriptor file, std::uint64_t size);

    Descriptor file_;
    std::byte* data_ = nullptr;
    std::uint64_t size_ = 0;
    FileIdentity identity_{};
};

}  // namespace zerobuffer
