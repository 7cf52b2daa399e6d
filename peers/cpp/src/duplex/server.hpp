#pragma once
// The answering end of a channel, for handlers that leave the request as it is: one request after
// the other, on a thread of its own. It outlives its clients.

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "channel/reader.hpp"
#include "channel/writer.hpp"

namespace zerobuffer {

struct DuplexServerOptions {
    BlockSizes sizes{};  // of the request buffer
    // How long an answer waits for a client that does not read.
    Milliseconds write_timeout{5000};
    std::shared_ptr<Holdings> holdings{};
};

class ImmutableDuplexServer {
public:
    // Returns the answer. Where it throws, the request's number is missing among the answers.
    using Handler = std::function<std::vector<std::byte>(std::span<const std::byte> request)>;
    // Told what went wrong with a request, on the server's thread.
    using OnError = std::function<void(const std::string& what)>;

    // Makes the request buffer, so clients can connect from now on; requests wait for start().
    ImmutableDuplexServer(const ChannelName& name, const DuplexServerOptions& options);
    ~ImmutableDuplexServer() { stop(); }

    // Once.
    void start(Handler handler, OnError on_error);
    // Returns when the handler that runs, if any, has returned; nothing else delays it.
    void stop() noexcept;

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
    void report(std::uint64_t sequence, const std::string& what);

    ChannelName name_;
    DuplexServerOptions options_;
    Handler handler_;
    OnError on_error_;
    Reader requests_;
    Connector connector_;
    std::optional<Writer> responses_;
    // Whether the first request of the client behind `responses_` has come. Requests that come
    // when it has not are an earlier client's.
    bool serving_client_ = false;
    std::jthread thread_;
};

}  // namespace zerobuffer
