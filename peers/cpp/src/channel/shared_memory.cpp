#include "channel/shared_memory.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <utility>

#include "channel/error.hpp"

namespace zerobuffer {

namespace {

constexpr mode_t kMode = 0666;

void reserve(const BufferName& name, int fd, std::uint64_t size) {
    // ftruncate alone succeeds on a full file system, and the first touch ends the process.
    int code;
    do {
        code = ::posix_fallocate(fd, 0, static_cast<off_t>(size));
    } while (code == EINTR);
    if (code == EFBIG) code = ENOSPC;
    if (code != 0) {
        throw_errno(name.text(), "reserving " + std::to_string(size) + " bytes in /dev/shm", code);
    }
}

}  // namespace

SharedMemory::SharedMemory(const BufferName& name, Descriptor file, std::uint64_t size)
    : file_(std::move(file)), size_(size) {
    const auto identity = identity_of(file_.get());
    if (!identity) throw_errno(name.text(), "fstat of the segment", errno);
    identity_ = *identity;
    void* mapped =
        ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, file_.get(), 0);
    if (mapped == MAP_FAILED) throw_errno(name.text(), "mapping the segment", errno);
    data_ = static_cast<std::byte*>(mapped);
}

SharedMemory::SharedMemory(SharedMemory&& other) noexcept
    : file_(std::move(other.file_)),
      data_(std::exchange(other.data_, nullptr)),
      size_(other.size_),
      identity_(other.identity_) {}

SharedMemory::~SharedMemory() {
    if (data_ != nullptr) ::munmap(data_, size_);
}

SharedMemory SharedMemory::create(const BufferName& name, std::uint64_t size) {
    Descriptor file(::open("/dev/shm", O_TMPFILE | O_RDWR | O_CLOEXEC, kMode));
    if (!file) throw_errno(name.text(), "making a file in /dev/shm", errno);
    reserve(name, file.get(), size);
    return SharedMemory(name, std::move(file), size);
}

SharedMemory SharedMemory::open(const BufferName& name, std::uint64_t least) {
    Descriptor file(::shm_open(name.segment().c_str(), O_RDWR | O_CLOEXEC, 0));
    if (!file) {
        const int code = errno;
        if (code == ENOENT) throw BufferNotFound(name.text());
        throw_errno(name.text(), "opening the segment", code);
    }
    struct stat info {};
    if (::fstat(file.get(), &info) != 0) throw_errno(name.text(), "fstat of the segment", errno);
    const auto size = static_cast<std::uint64_t>(info.st_size);
    if (size < least) {
        throw NotReady(name.text(), "its segment has " + std::to_string(size) + " bytes yet");
    }
    SharedMemory memory(name, std::move(file), size);
    memory.file_.reset();
    return memory;
}

bool SharedMemory::publish(const BufferName& name) {
    const std::string source = "/proc/self/fd/" + std::to_string(file_.get());
    const std::string target = name.segment_path();
    if (::linkat(AT_FDCWD, source.c_str(), AT_FDCWD, target.c_str(), AT_SYMLINK_FOLLOW) != 0) {
        const int code = errno;
        if (code == EEXIST) return false;
        throw_errno(name.text(), "naming the segment", code);
    }
    file_.reset();
    return true;
}

}  // namespace zerobuffer
