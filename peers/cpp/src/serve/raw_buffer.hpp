#pragma once
// A buffer as it is seen from outside of the library: four files, read and written as files.

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "channel/file.hpp"
#include "channel/layout.hpp"
#include "channel/name.hpp"
#include "serve/test_data.hpp"

namespace zerobuffer::serve {

// Which files a buffer has on the system, and who owns it.
struct BufferFilesSeen {
    struct File {
        std::string path;
        std::optional<FileIdentity> identity;
    };

    explicit BufferFilesSeen(const BufferName& name);

    // The paths of those that are there.
    std::string existing() const;
    std::size_t count() const;
    // Whether the reader that the segment names lived when this was looked at.
    bool owner_lives() const noexcept { return owner_lives_; }
    std::uint64_t owner() const noexcept { return owner_; }

    // The lock file last.
    std::array<File, 4> files;

private:
    std::uint64_t owner_ = 0;
    bool owner_lives_ = false;
};

// Whether somebody holds the buffer's lock.
bool is_locked(const BufferName& name);

// What stands between the read position and the write position.
struct UnreadFrames {
    std::uint64_t frames = 0;
    std::uint64_t wraps = 0;
    std::uint64_t first_sequence = 0;
    // Headers, data and what was skipped.
    std::uint64_t bytes = 0;
};

class RawBuffer {
public:
    // Throws StepFailure when there is no segment.
    explicit RawBuffer(const BufferName& name);

    std::uint64_t field(Field field) const;
    void set_field(Field field, std::uint64_t value);
    std::uint32_t oieb_size() const;
    void set_oieb_size(std::uint32_t size);

    // Positions in the payload block.
    FrameHeader header_at(std::uint64_t position) const;
    void set_header_at(std::uint64_t position, const FrameHeader& header);
    Bytes payload_at(std::uint64_t position, std::uint64_t size) const;
    // Bytes that are neither free nor skipped; header and data of frames that are held count.
    std::uint64_t used() const;

    // Goes from header to header. Throws StepFailure where they do not lead to the write position.
    UnreadFrames unread() const;

    // The value of the data semaphore, and whether somebody sleeps on it.
    std::uint32_t data_semaphore() const;
    bool waits_for_data() const;

    const BufferName& name() const noexcept { return name_; }

private:
    std::uint64_t payload_offset(std::uint64_t position, std::uint64_t size) const;
    void read(std::uint64_t offset, void* to, std::size_t size) const;
    void write(std::uint64_t offset, const void* from, std::size_t size);
    std::uint64_t data_semaphore_word() const;

    BufferName name_;
    Descriptor file_;
};

}  // namespace zerobuffer::serve
