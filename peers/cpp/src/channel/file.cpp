#include "channel/file.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <utility>

namespace zerobuffer {

Descriptor& Descriptor::operator=(Descriptor&& other) noexcept {
    if (this != &other) {
        reset();
        fd_ = other.release();
    }
    return *this;
}

void Descriptor::reset() noexcept {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
}

int Descriptor::release() noexcept { return std::exchange(fd_, -1); }

std::optional<FileIdentity> identity_of(const std::string& path) noexcept {
    struct stat info {};
    if (::stat(path.c_str(), &info) != 0) return std::nullopt;
    return FileIdentity{info.st_dev, info.st_ino};
}

std::optional<FileIdentity> identity_of(int fd) noexcept {
    struct stat info {};
    if (::fstat(fd, &info) != 0) return std::nullopt;
    return FileIdentity{info.st_dev, info.st_ino};
}

NamedFile::NamedFile(std::string path, FileIdentity identity)
    : path_(std::move(path)), identity_(identity), maker_(::getpid()) {}

NamedFile::NamedFile(NamedFile&& other) noexcept
    : path_(std::move(other.path_)),
      identity_(other.identity_),
      maker_(std::exchange(other.maker_, 0)) {}

NamedFile& NamedFile::operator=(NamedFile&& other) noexcept {
    if (this != &other) {
        remove();
        path_ = std::move(other.path_);
        identity_ = other.identity_;
        maker_ = std::exchange(other.maker_, 0);
    }
    return *this;
}

bool NamedFile::in_place() const noexcept { return identity_of(path_) == identity_; }

void NamedFile::remove() noexcept {
    if (std::exchange(maker_, 0) != ::getpid()) return;
    if (in_place()) ::unlink(path_.c_str());
}

}  // namespace zerobuffer
