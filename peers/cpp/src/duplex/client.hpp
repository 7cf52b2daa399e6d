#pragma once
// The asking end of a channel: writes requests, reads answers from a buffer of its own.

#include <cstdint>
#include <optional>
#include <span>

#include "channel/reader.hpp"
#include "channel/writer.hpp"

namespace zerobuffer {

struct DuplexClientOptions {
    Milliseconds connect_timeout{5000};
    Milliseconds write_timeout{5000};
    // Of the response buffer; like the server's request buffer unless given.
    std::optional<BlockSizes> sizes{};
    std::shared_ptr<Holdings> holdings{};
};

// For one thread.
class DuplexClient {
public:
    // Waits until the server is there. Throws NotReady when the time is up, and what
    // Writer::connect and Reader::create throw.
    static DuplexClient connect(const ChannelName& name, const DuplexClientOptions& options = {});

    // Returns the request's sequence number; its answer bears the same one. Throws ServerDead,
    // and what Writer::write throws.
    std::uint64_t send(std::span<const std::byte> data);
    // A request to be filled in place and committed. Throws as send() does.
    Loan loan(std::uint64_t size);
    // The next answer; nothing when the time runs out.
    // Throws HandlerFailed for a request that a later answer overtook, ServerDead, SequenceBroken.
    std::optional<Frame> receive(Milliseconds timeout);

    // Waits until the server has attached to the response buffer; whether it has.
    bool wait_for_server(Milliseconds timeout);
    // Of the response buffer.
    Audit audit() { return responses_.audit(); }

private:
    DuplexClient(const ChannelName& name, Writer requests, Reader responses)
        : name_(name), responses_(std::move(responses)), requests_(std::move(requests)) {}

    std::optional<Frame> read_response(Milliseconds timeout);
    std::optional<Frame> read_own(Milliseconds timeout);

    ChannelName name_;
    // The writer goes first: a server takes that as the client's leaving.
    Reader responses_;
    Writer requests_;
    std::uint64_t next_answer_ = 1;
    std::optional<Frame> early_;  // came while answers before it are missing
};

}  // namespace zerobuffer
