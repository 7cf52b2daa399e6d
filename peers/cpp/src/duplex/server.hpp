#pragma once
// The answering end of a channel, for handlers that leave the request as it is: one request after
// the other, on a thread of its own. It outlives its clients.

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "channel/error.hpp"
#include "channel/reader.hpp"
#include "channel/writer.hpp"

namespace zerobuffer {

struct DuplexServerOptions {
    BlockSizes sizes{};  // of the request buffer
    // How long an answer waits for a client that does not read.
    Milliseconds write_timeout{5000};
    std::shared_ptr<Holdings> holdings{};
};

// Something that went wrong while serving.
struct ServerTrouble {
    enum class Kind {
        handler_failed,
        no_room,      // the client does not read: its answer was given up
        client_gone,  // it has left or died before its answer was written
        other,
    };

    Kind kind;
    std::uint64_t request;  // its number; 0 where it is about none
    std::string what;
};

class ImmutableDuplexServer {
public:
    // Returns the answer. Where it throws, the request's number is missing among the answers.
    using Handler = std::function<std::vector<std::byte>(std::span<const std::byte> request)>;
    // Told of it on the server's thread.
    using OnTrouble = std::function<void(const ServerTrouble& trouble)>;

    // Makes the request buffer, so clients can connect from now on; requests wait for start().
    ImmutableDuplexServer(const ChannelName& name, const DuplexServerOptions& options);
    ~ImmutableDuplexServer() { stop(); }

    // Once.
    void start(Handler handler, OnTrouble on_trouble);
    // Returns when the handler that runs, if any, has returned; nothing else delays it.
    void stop() noexcept;
    // Of the request buffer. When it has been stopped.
    Audit audit() { return requests_.audit(); }

    // How many answers were written since the start; each is counted a moment after it is there.
    // For any thread.
    std::uint64_t answered() const noexcept { return answered_; }

private:
    void run(const std::stop_token& stop);
    void serve_next(const std::stop_token& stop);
    void keep_attached();
    void begin_client(const std::stop_token& stop);
    void detach();
    void forget_client();
    bool attach(const std::stop_token& stop);
    bool try_attach();
    bool client_still_reads();
    std::optional<std::vector<std::byte>> handle(const Frame& request);
    void respond(std::uint64_t sequence, std::span<const std::byte> answer,
                 const std::stop_token& stop);
    void report_response_buffer(const Error& error);
    void report(ServerTrouble::Kind kind, std::uint64_t request, const std::string& what);

    ChannelName name_;
    DuplexServerOptions options_;
    Handler handler_;
    OnTrouble on_trouble_;
    Reader requests_;
    Connector connector_;
    std::optional<Writer> responses_;
    // Whether the first request of the client behind `responses_` has come. Requests that come
    // when it has not are an earlier client's.
    bool serving_client_ = false;
    // What was reported last about this client's response buffer.
    std::string told_;
    std::atomic<std::uint64_t> answered_ = 0;
    std::jthread thread_;
};

}  // namespace zerobuffer
