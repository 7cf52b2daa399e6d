#pragma once
// The writing end of a buffer. It attaches to what a reader made.

#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "channel/clock.hpp"
#include "channel/holdings.hpp"
#include "channel/name.hpp"
#include "channel/ring.hpp"

namespace zerobuffer {

class WriterCore;

// A place in the segment for one frame: fill it, then commit. Dropped without a commit, it leaves
// no trace.
class Loan {
public:
    Loan(std::shared_ptr<WriterCore> writer, std::span<std::byte> data, std::uint64_t sequence,
         const Placement& placement)
        : writer_(std::move(writer)), data_(data), sequence_(sequence), placement_(placement) {}
    Loan(Loan&&) noexcept = default;
    Loan& operator=(Loan&& other) noexcept;
    ~Loan() { drop(); }

    std::span<std::byte> data() const noexcept { return data_; }
    std::uint64_t sequence() const noexcept { return sequence_; }
    // Sends the frame, and uses the loan up. Throws Closed.
    void commit();

private:
    void drop() noexcept;

    std::shared_ptr<WriterCore> writer_;
    std::span<std::byte> data_;
    std::uint64_t sequence_;
    Placement placement_;
};

struct WriterOptions {
    Milliseconds connect_timeout{5000};
    Milliseconds write_timeout{5000};
    std::shared_ptr<Holdings> holdings{};
};

// For one thread, but for close().
class Writer {
public:
    // Waits until there is a buffer to attach to; with a timeout of 0 tries once.
    // Throws NotReady (BufferNotFound) when the time is up, WriterAlreadyConnected,
    // IncompatibleVersion, Corrupt, PermissionDenied, Io.
    static Writer connect(const BufferName& name, const WriterOptions& options = {});

    Writer(Writer&&) noexcept = default;
    Writer& operator=(Writer&& other) noexcept;
    ~Writer() { close(); }

    // Room for a frame of `size` bytes, waited for up to the write timeout. One loan at a time.
    // Throws BufferFull, FrameTooLarge, InvalidFrameSize, ReaderDead, Corrupt, Closed.
    Loan loan(std::uint64_t size);
    // The same for a frame with a sequence number that is given, not counted.
    Loan loan(std::uint64_t size, std::uint64_t sequence);
    // Copies a frame in; returns its sequence number.
    std::uint64_t write(std::span<const std::byte> data);

    // The sequence number of the next frame.
    std::uint64_t next_sequence() const noexcept;

    // Throws MetadataAlreadyWritten, MetadataTooLarge, InvalidFrameSize.
    void set_metadata(std::span<const std::byte> data);
    void set_write_timeout(Milliseconds timeout) noexcept;

    // What a wait does on every tick, for writers that wait for something else. Throws ReaderDead,
    // also when another reader has taken the buffer's name.
    void check_reader();
    std::uint64_t payload_size() const noexcept;
    std::uint64_t metadata_size() const noexcept;
    void close() noexcept;

private:
    friend class Connector;
    explicit Writer(std::shared_ptr<WriterCore> core) : core_(std::move(core)) {}

    std::shared_ptr<WriterCore> core_;
};

// Tries to attach, again and again, without waiting itself.
class Connector {
public:
    explicit Connector(BufferName name, WriterOptions options = {})
        : name_(std::move(name)), options_(std::move(options)) {}

    // Throws what Writer::connect throws, NotReady at once.
    Writer attempt();
    // Whether the last attempt met a dead writer, whose account the reader settles, or is about to.
    bool awaits_recovery() const noexcept { return leaving_ != 0; }

private:
    BufferName name_;
    WriterOptions options_;
    std::uint64_t leaving_ = 0;
    TimePoint leaving_since_{};
};

}  // namespace zerobuffer
