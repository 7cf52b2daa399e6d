#pragma once
// A channel's server in the scenario, and what its handler was asked.

#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <stop_token>
#include <vector>

#include "channel/clock.hpp"
#include "channel/name.hpp"
#include "duplex/server.hpp"
#include "serve/log.hpp"
#include "serve/raw_buffer.hpp"
#include "serve/test_data.hpp"

namespace zerobuffer::serve {

// One call of the handler.
struct Handled {
    TimePoint begin{};
    std::optional<TimePoint> end{};
    // What came in, and where it stood.
    Bytes request{};
    const std::byte* request_at = nullptr;
    // What went out, and where that stood.
    Bytes response{};
    const std::byte* response_at = nullptr;
};

// Written by the server's thread, read by steps.
class HandlerRecord {
public:
    void begin(std::span<const std::byte> request);
    void end(std::span<const std::byte> response);
    void trouble(const ServerTrouble& trouble);

    std::vector<Handled> calls() const;
    std::vector<ServerTrouble> troubles() const;
    std::size_t finished() const;

private:
    mutable std::mutex mutex_;
    std::vector<Handled> calls_;
    std::vector<ServerTrouble> troubles_;
};

class ServerRole {
public:
    // Makes the answer to a request. The token ends its waits.
    using Answer = std::function<Bytes(std::span<const std::byte> request, const std::stop_token&)>;

    ServerRole(const ChannelName& name, const DuplexServerOptions& options)
        : name_(name), server_(name, options) {}
    ~ServerRole() { stopping_.request_stop(); }

    void start(Answer answer, Log& log);
    // Of the request buffer. Stops the server.
    Audit audit();

    const ChannelName& name() const noexcept { return name_; }
    const HandlerRecord& record() const noexcept { return record_; }
    std::uint64_t answered() const noexcept { return server_.answered(); }

    RawBuffer request_buffer() const { return RawBuffer(name_.request()); }
    RawBuffer response_buffer() const { return RawBuffer(name_.response()); }

private:
    ChannelName name_;
    HandlerRecord record_;
    std::stop_source stopping_;
    // Last, so that it goes first: its handler uses the others.
    ImmutableDuplexServer server_;
};

// Returns earlier when it is stopped.
void wait_unless_stopped(const std::stop_token& stop, Milliseconds time);

}  // namespace zerobuffer::serve
