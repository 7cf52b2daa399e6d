#pragma once
// What can go wrong with a buffer. One class a case, each with the buffer's name and the numbers
// that matter; all of them are an Error.

#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>

namespace zerobuffer {

class Error : public std::runtime_error {
public:
    Error(std::string buffer, const std::string& what)
        : std::runtime_error("buffer '" + buffer + "': " + what), buffer_(std::move(buffer)) {}

    const std::string& buffer() const noexcept { return buffer_; }

private:
    std::string buffer_;
};

// A name that no file could have.
struct InvalidName : Error {
    using Error::Error;
};

// Block sizes that cannot be made.
struct InvalidSize : Error {
    using Error::Error;
};

// The buffer cannot be attached to yet; trying again may help.
struct NotReady : Error {
    using Error::Error;
};

struct BufferNotFound : NotReady {
    explicit BufferNotFound(const std::string& buffer)
        : NotReady(buffer, "there is no such buffer; its reader has to be created first") {}
};

struct ReaderAlreadyConnected : Error {
    explicit ReaderAlreadyConnected(const std::string& buffer)
        : Error(buffer, "another reader holds its lock") {}
};

struct WriterAlreadyConnected : Error {
    WriterAlreadyConnected(const std::string& buffer, std::uint64_t pid)
        : Error(buffer, "process " + std::to_string(pid) + " is its writer"), pid(pid) {}
    std::uint64_t pid;
};

struct IncompatibleVersion : Error {
    using Error::Error;
};

// Bytes in the segment that no peer keeping to the protocol writes.
struct Corrupt : Error {
    using Error::Error;
};

struct InvalidFrameSize : Error {
    explicit InvalidFrameSize(const std::string& buffer)
        : Error(buffer, "a frame or metadata of 0 bytes cannot be written") {}
};

// No waiting makes room for this frame.
struct FrameTooLarge : Error {
    FrameTooLarge(const std::string& buffer, std::uint64_t size, std::uint64_t position,
                  std::uint64_t capacity)
        : Error(buffer, "a frame of " + std::to_string(size) + " bytes and its header can never be "
                        "placed: the ring has " + std::to_string(capacity) +
                        " bytes and writing goes on at " + std::to_string(position) +
                        " (a ring of twice the largest frame always serves)"),
          size(size), position(position), capacity(capacity) {}
    std::uint64_t size, position, capacity;
};

struct BufferFull : Error {
    BufferFull(const std::string& buffer, std::uint64_t needed, std::uint64_t free)
        : Error(buffer, "full: " + std::to_string(needed) + " bytes needed, " +
                            std::to_string(free) + " free when the time was up"),
          needed(needed), free(free) {}
    std::uint64_t needed, free;
};

struct MetadataAlreadyWritten : Error {
    explicit MetadataAlreadyWritten(const std::string& buffer)
        : Error(buffer, "its metadata has already been written") {}
};

struct MetadataTooLarge : Error {
    MetadataTooLarge(const std::string& buffer, std::uint64_t size, std::uint64_t capacity)
        : Error(buffer, "metadata of " + std::to_string(size) +
                            " bytes and its length do not fit a block of " +
                            std::to_string(capacity)),
          size(size), capacity(capacity) {}
    std::uint64_t size, capacity;
};

struct SequenceBroken : Error {
    SequenceBroken(const std::string& buffer, std::uint64_t expected, std::uint64_t got)
        : Error(buffer, "sequence broken: expected frame " + std::to_string(expected) + ", got " +
                            std::to_string(got)),
          expected(expected), got(got) {}
    std::uint64_t expected, got;
};

struct ReaderDead : Error {
    explicit ReaderDead(const std::string& buffer) : Error(buffer, "its reader has left or died") {}
};

struct WriterDead : Error {
    explicit WriterDead(const std::string& buffer)
        : Error(buffer, "its writer has left or died, and nothing is unread") {}
};

// The server of a channel has left or died, and none of its answers is unread.
struct ServerDead : Error {
    explicit ServerDead(const std::string& channel)
        : Error(channel, "its server has left or died") {}
};

// The server's handler failed for this request, so there is no answer to it.
struct HandlerFailed : Error {
    HandlerFailed(const std::string& buffer, std::uint64_t sequence)
        : Error(buffer, "request " + std::to_string(sequence) + " was not answered: its handler "
                        "failed"),
          sequence(sequence) {}
    std::uint64_t sequence;
};

// This end was closed, perhaps by another thread.
struct Closed : Error {
    explicit Closed(const std::string& buffer) : Error(buffer, "this end has been closed") {}
};

struct PermissionDenied : Error {
    using Error::Error;
};

struct NoSpace : Error {
    using Error::Error;
};

struct Io : Error {
    Io(const std::string& buffer, const std::string& what, int code)
        : Error(buffer, what + ": " + std::strerror(code)), code(code) {}
    int code;
};

// Throws what an errno value means; `what` names the call and its object.
[[noreturn]] void throw_errno(const std::string& buffer, const std::string& what, int code);

}  // namespace zerobuffer
