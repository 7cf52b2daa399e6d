#pragma once
// The names of buffers and channels, checked once, and the names of everything made from them.

#include <string>
#include <string_view>

namespace zerobuffer {

// The folder of the lock files.
inline constexpr std::string_view kLockFolder = "/tmp/zerobuffer";

class BufferName {
public:
    // Throws InvalidName: empty, '/' or NUL in it, "." or "..", or over 245 bytes.
    explicit BufferName(std::string name);

    const std::string& text() const noexcept { return name_; }

    // For shm_open and sem_open.
    std::string segment() const { return "/" + name_; }
    std::string data_semaphore() const { return "/sem-w-" + name_; }
    std::string space_semaphore() const { return "/sem-r-" + name_; }

    // Where those are seen as files.
    std::string segment_path() const { return "/dev/shm/" + name_; }
    std::string lock_path() const { return std::string(kLockFolder) + "/" + name_ + ".lock"; }

private:
    std::string name_;
};

// The file behind a semaphore name such as "/sem-w-N".
std::string semaphore_path(const std::string& semaphore);

class ChannelName {
public:
    // Throws InvalidName, as BufferName does; at most 236 bytes.
    explicit ChannelName(const std::string& name);

    const std::string& text() const noexcept { return name_; }
    const BufferName& request() const noexcept { return request_; }
    const BufferName& response() const noexcept { return response_; }

private:
    std::string name_;
    BufferName request_;
    BufferName response_;
};

}  // namespace zerobuffer
