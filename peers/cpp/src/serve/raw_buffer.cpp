#include "serve/raw_buffer.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "serve/check.hpp"

namespace zerobuffer::serve {

namespace {

void read_exactly(int fd, std::uint64_t offset, void* to, std::size_t size,
                  const std::string& path) {
    auto* at = static_cast<std::byte*>(to);
    while (size > 0) {
        const ssize_t got = ::pread(fd, at, size, static_cast<off_t>(offset));
        if (got < 0 && errno == EINTR) continue;
        expect(got > 0, "expected " + std::to_string(size) + " bytes at " +
                            std::to_string(offset) + " of " + path + ", found its end");
        at += got;
        offset += static_cast<std::uint64_t>(got);
        size -= static_cast<std::size_t>(got);
    }
}

}  // namespace

BufferFilesSeen::BufferFilesSeen(const BufferName& name)
    : files{File{name.segment_path(), {}}, File{semaphore_path(name.data_semaphore()), {}},
            File{semaphore_path(name.space_semaphore()), {}}, File{name.lock_path(), {}}} {
    for (File& file : files) file.identity = identity_of(file.path);
    if (!files.front().identity) return;
    owner_ = RawBuffer(name).field(Field::reader_pid);
    owner_lives_ = owner_ != 0 && ::kill(static_cast<pid_t>(owner_), 0) == 0;
}

std::string BufferFilesSeen::existing() const {
    std::string paths;
    for (const File& file : files) {
        if (file.identity) paths += (paths.empty() ? "" : ", ") + file.path;
    }
    return paths.empty() ? "none" : paths;
}

std::size_t BufferFilesSeen::count() const {
    return static_cast<std::size_t>(std::count_if(
        files.begin(), files.end(), [](const File& file) { return file.identity.has_value(); }));
}

bool is_locked(const BufferName& name) {
    const Descriptor file(::open(name.lock_path().c_str(), O_RDONLY | O_CLOEXEC));
    return file && ::flock(file.get(), LOCK_EX | LOCK_NB) != 0;
}

RawBuffer::RawBuffer(const BufferName& name)
    : name_(name), file_(::open(name.segment_path().c_str(), O_RDWR | O_CLOEXEC)) {
    expect(static_cast<bool>(file_), "expected a segment " + name.segment_path() + ", found " +
                                         std::strerror(errno));
}

std::uint64_t RawBuffer::field(Field field) const {
    std::uint64_t value = 0;
    read(static_cast<std::uint64_t>(field), &value, sizeof value);
    return value;
}

void RawBuffer::set_field(Field field, std::uint64_t value) {
    write(static_cast<std::uint64_t>(field), &value, sizeof value);
}

std::uint32_t RawBuffer::oieb_size() const {
    std::uint32_t size = 0;
    read(kOiebSizeOffset, &size, sizeof size);
    return size;
}

void RawBuffer::set_oieb_size(std::uint32_t size) { write(kOiebSizeOffset, &size, sizeof size); }

FrameHeader RawBuffer::header_at(std::uint64_t position) const {
    std::array<std::byte, FrameHeader::kSize> bytes;
    read(payload_offset(position, bytes.size()), bytes.data(), bytes.size());
    return load_header(bytes.data());
}

void RawBuffer::set_header_at(std::uint64_t position, const FrameHeader& header) {
    std::array<std::byte, FrameHeader::kSize> bytes;
    store_header(bytes.data(), header);
    write(payload_offset(position, bytes.size()), bytes.data(), bytes.size());
}

Bytes RawBuffer::payload_at(std::uint64_t position, std::uint64_t size) const {
    const std::uint64_t offset = payload_offset(position, size);
    Bytes data(size);
    read(offset, data.data(), data.size());
    return data;
}

std::uint64_t RawBuffer::used() const {
    return field(Field::payload_size) - field(Field::payload_free_bytes);
}

UnreadFrames RawBuffer::unread() const {
    const std::uint64_t capacity = field(Field::payload_size);
    const std::uint64_t end = field(Field::payload_write_pos) % capacity;
    std::uint64_t position = field(Field::payload_read_pos) % capacity;
    UnreadFrames unread;
    if (position == end &&
        field(Field::payload_read_count) == field(Field::payload_written_count)) {
        return unread;
    }
    do {
        const bool short_tail = capacity - position < FrameHeader::kSize;
        const FrameHeader header = short_tail ? FrameHeader{} : header_at(position);
        if (header.is_wrap_marker()) {
            expect(position != 0, "expected a frame at 0, found a second wrap marker");
            ++unread.wraps;
            unread.bytes += capacity - position;
            position = 0;
            continue;
        }
        const std::uint64_t total = FrameHeader::kSize + header.size;
        expect(header.size > 0 && header.size <= capacity && total <= capacity - position,
               "expected a frame at " + std::to_string(position) + ", found a header of size " +
                   std::to_string(header.size));
        if (unread.frames++ == 0) unread.first_sequence = header.sequence;
        unread.bytes += total;
        const bool passes = position < end && end < position + total;
        expect(!passes, "expected headers that lead to the write position " +
                            std::to_string(end) + ", found a frame that reaches over it");
        position = (position + total) % capacity;
    } while (position != end);
    return unread;
}

std::uint64_t RawBuffer::payload_offset(std::uint64_t position, std::uint64_t size) const {
    const std::uint64_t capacity = field(Field::payload_size);
    expect(position <= capacity && size <= capacity - position,
           "expected a place in a ring of " + std::to_string(capacity) + " bytes, found " +
               std::to_string(size) + " bytes at " + std::to_string(position));
    return kOiebSize + field(Field::metadata_size) + position;
}

void RawBuffer::read(std::uint64_t offset, void* to, std::size_t size) const {
    read_exactly(file_.get(), offset, to, size, name_.segment_path());
}

void RawBuffer::write(std::uint64_t offset, const void* from, std::size_t size) {
    const ssize_t written = ::pwrite(file_.get(), from, size, static_cast<off_t>(offset));
    expect(written == static_cast<ssize_t>(size),
           "could not write " + std::to_string(size) + " bytes into " + name_.segment_path());
}

// glibc on 64-bit machines: the value below, the number of those that sleep above.
std::uint32_t RawBuffer::data_semaphore() const {
    return static_cast<std::uint32_t>(data_semaphore_word());
}

bool RawBuffer::waits_for_data() const { return data_semaphore_word() >> 32 != 0; }

std::uint64_t RawBuffer::data_semaphore_word() const {
    const std::string path = semaphore_path(name_.data_semaphore());
    const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    expect(static_cast<bool>(file), "expected a semaphore " + path + ", found none");
    std::uint64_t word = 0;
    read_exactly(file.get(), 0, &word, sizeof word, path);
    return word;
}

}  // namespace zerobuffer::serve
