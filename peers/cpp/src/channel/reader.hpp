#pragma once
// The reading end of a buffer. It makes the buffer, owns it, and removes it when it goes.

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "channel/audit.hpp"
#include "channel/clock.hpp"
#include "channel/holdings.hpp"
#include "channel/layout.hpp"
#include "channel/name.hpp"
#include "channel/ring.hpp"

namespace zerobuffer {

class ReaderCore;

// A frame in the segment, borrowed until this goes. Give frames back on the thread that reads.
class Frame {
public:
    Frame(std::shared_ptr<ReaderCore> reader, std::span<const std::byte> data, const Slot& slot)
        : reader_(std::move(reader)), data_(data), slot_(slot) {}
    Frame(Frame&&) noexcept = default;
    Frame& operator=(Frame&& other) noexcept;
    ~Frame() { release(); }

    // The peer can write here at any time; one that keeps to the protocol does not.
    std::span<const std::byte> data() const noexcept { return data_; }
    std::uint64_t sequence() const noexcept { return slot_.sequence; }
    // Whether this is the first frame of a writer that took over from another.
    bool restarted() const noexcept { return slot_.restarted; }
    void release() noexcept;

private:
    std::shared_ptr<ReaderCore> reader_;
    std::span<const std::byte> data_;
    Slot slot_;
};

struct ReaderOptions {
    BlockSizes sizes{};
    Sequences sequences = Sequences::consecutive;
    std::shared_ptr<Holdings> holdings{};
};

// For one thread, but for close() and wake().
class Reader {
public:
    // Throws ReaderAlreadyConnected, NoSpace, InvalidSize, PermissionDenied, Io.
    static Reader create(const BufferName& name, const ReaderOptions& options);

    Reader(Reader&&) noexcept = default;
    Reader& operator=(Reader&& other) noexcept;
    ~Reader() { close(); }

    // The next frame; nothing when the time runs out, or when wake() was called meanwhile.
    // Throws WriterDead once a writer has gone and nothing is unread, Corrupt, SequenceBroken,
    // Closed.
    std::optional<Frame> read(Milliseconds timeout);
    std::optional<std::vector<std::byte>> metadata() const;

    // Whether a living writer is attached now.
    bool has_writer();
    // After WriterDead: waits for the next writer as if there had been none.
    void await_next_writer();
    // Makes a read() on another thread return.
    void wake() noexcept;
    void close() noexcept;

    // Whether what is unread, in use and posted is what the writer should have left. A writer in the
    // middle of a frame is waited for, for a moment.
    Audit audit();

    // Bytes of frames that were read and not given back.
    std::uint64_t held() const noexcept;

private:
    explicit Reader(std::shared_ptr<ReaderCore> core) : core_(std::move(core)) {}

    std::shared_ptr<ReaderCore> core_;
};

}  // namespace zerobuffer
