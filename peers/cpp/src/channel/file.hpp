#pragma once
// Descriptors, and files known by their inode: a name alone does not say whose file it is.

#include <sys/types.h>

#include <optional>
#include <string>

namespace zerobuffer {

// Closes its descriptor when it goes.
class Descriptor {
public:
    Descriptor() = default;
    explicit Descriptor(int fd) noexcept : fd_(fd) {}
    Descriptor(Descriptor&& other) noexcept : fd_(other.release()) {}
    Descriptor& operator=(Descriptor&& other) noexcept;
    ~Descriptor() { reset(); }

    int get() const noexcept { return fd_; }
    explicit operator bool() const noexcept { return fd_ >= 0; }
    void reset() noexcept;

private:
    int release() noexcept;

    int fd_ = -1;
};

struct FileIdentity {
    dev_t device;
    ino_t inode;
    bool operator==(const FileIdentity&) const = default;
};

// Nothing when there is no such file.
std::optional<FileIdentity> identity_of(const std::string& path) noexcept;
std::optional<FileIdentity> identity_of(int fd) noexcept;

// A file that goes with its owner: removed by the process that made it, if the name still means
// the same file. A forked child removes nothing.
class NamedFile {
public:
    NamedFile() = default;
    NamedFile(std::string path, FileIdentity identity);
    NamedFile(NamedFile&& other) noexcept;
    NamedFile& operator=(NamedFile&& other) noexcept;
    ~NamedFile() { remove(); }

    bool in_place() const noexcept;
    void remove() noexcept;

private:
    std::string path_;
    FileIdentity identity_{};
    pid_t maker_ = 0;
};

}  // namespace zerobuffer
