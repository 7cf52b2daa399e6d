#include "duplex/server.hpp"

#include <cstring>
#include <exception>
#include <utility>

#include "channel/buffer_files.hpp"

namespace zerobuffer {

namespace {

using Kind = ServerTrouble::Kind;

constexpr Milliseconds kAttachPause{2};
// How often a server without a client looks for one.
constexpr Milliseconds kLook{10};

}  // namespace

ImmutableDuplexServer::ImmutableDuplexServer(const ChannelName& name,
                                             const DuplexServerOptions& options)
    : name_(name),
      options_(options),
      requests_(Reader::create(name.request(),
                               {options.sizes, Sequences::consecutive, options.holdings})),
      // Waits for room in short steps, so that stop() is noticed.
      connector_(name.response(), {Milliseconds{0}, kTick, options.holdings}) {}

void ImmutableDuplexServer::start(Handler handler, OnTrouble on_trouble) {
    if (thread_.joinable()) throw Error(name_.text(), "the server has been started already");
    handler_ = std::move(handler);
    on_trouble_ = std::move(on_trouble);
    thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
}

void ImmutableDuplexServer::stop() noexcept {
    if (!thread_.joinable()) return;
    thread_.request_stop();
    requests_.wake();
    thread_.join();
}

void ImmutableDuplexServer::run(const std::stop_token& stop) {
    while (!stop.stop_requested()) {
        try {
            serve_next(stop);
        } catch (const WriterDead&) {
            forget_client();
        } catch (const Closed&) {
            return;
        } catch (const std::exception& error) {
            // The request buffer cannot be read any further; clients see that it is closed.
            report(Kind::other, 0, error.what());
            requests_.close();
            return;
        }
    }
}

void ImmutableDuplexServer::serve_next(const std::stop_token& stop) {
    auto request = requests_.read(responses_ ? kTick : kLook);
    if (!request) {
        keep_attached();
        return;
    }
    if (request->sequence() == 1) begin_client(stop);
    // Else it is left over from a client that has gone.
    if (!serving_client_) return;
    const std::uint64_t sequence = request->sequence();
    const auto answer = handle(*request);
    request.reset();
    if (answer) respond(sequence, *answer, stop);
}

// Attaches to a client before its first request, as clients may wait for that.
void ImmutableDuplexServer::keep_attached() {
    if (responses_ && !client_still_reads()) detach();
    if (!responses_ && requests_.has_writer()) try_attach();
}

// Number 1 is a client's first request: what is attached may still be the last one's buffer.
void ImmutableDuplexServer::begin_client(const std::stop_token& stop) {
    if (responses_ && !client_still_reads()) detach();
    serving_client_ = attach(stop);
}

void ImmutableDuplexServer::detach() {
    responses_.reset();
    serving_client_ = false;
}

void ImmutableDuplexServer::forget_client() {
    detach();
    told_.clear();
    requests_.await_next_writer();
    try {
        remove_leftovers_of_dead_reader(name_.response());
    } catch (const Error& error) {
        report(Kind::other, 0, error.what());
    }
}

bool ImmutableDuplexServer::client_still_reads() {
    try {
        responses_->check_reader();
        return true;
    } catch (const ReaderDead&) {
    } catch (const Closed&) {
        throw;
    } catch (const Error& error) {
        report_response_buffer(error);
    }
    return false;
}

// Waits for the client's response buffer, for as long as there is a client.
bool ImmutableDuplexServer::attach(const std::stop_token& stop) {
    while (!responses_ && !try_attach()) {
        if (stop.stop_requested() || !requests_.has_writer()) return false;
        std::this_thread::sleep_for(kAttachPause);
    }
    return true;
}

bool ImmutableDuplexServer::try_attach() {
    try {
        responses_ = connector_.attempt();
        told_.clear();
        return true;
    } catch (const NotReady&) {
    } catch (const WriterAlreadyConnected&) {
        // Another server answers this client, or answered it a moment ago.
    } catch (const Closed&) {
        throw;
    } catch (const Error& error) {
        report_response_buffer(error);
    }
    return false;
}

std::optional<std::vector<std::byte>> ImmutableDuplexServer::handle(const Frame& request) {
    try {
        return handler_(request.data());
    } catch (const std::exception& error) {
        report(Kind::handler_failed, request.sequence(),
               std::string("its handler failed: ") + error.what());
    } catch (...) {
        report(Kind::handler_failed, request.sequence(), "its handler failed");
    }
    return std::nullopt;
}

void ImmutableDuplexServer::respond(std::uint64_t sequence, std::span<const std::byte> answer,
                                    const std::stop_token& stop) {
    const TimePoint deadline = deadline_after(options_.write_timeout);
    while (!stop.stop_requested()) {
        try {
            Loan loan = responses_->loan(answer.size(), sequence);
            std::memcpy(loan.data().data(), answer.data(), answer.size());
            loan.commit();
            ++answered_;
            return;
        } catch (const BufferFull& error) {
            if (Clock::now() < deadline) continue;
            report(Kind::no_room, sequence, error.what());
        } catch (const ReaderDead& error) {
            detach();
            report(Kind::client_gone, sequence, error.what());
        } catch (const Closed&) {
            throw;
        } catch (const Error& error) {
            report(Kind::other, sequence, error.what());
        }
        return;
    }
}

// The response buffer is the client's own: what is wrong with it ends no more than its service, and
// may be put right. It is looked at again and again, but told of once.
void ImmutableDuplexServer::report_response_buffer(const Error& error) {
    if (told_ == error.what()) return;
    told_ = error.what();
    report(Kind::other, 0, told_);
}

void ImmutableDuplexServer::report(Kind kind, std::uint64_t request, const std::string& what) {
    if (!on_trouble_) return;
    on_trouble_({kind, request,
                 request == 0 ? what : "request " + std::to_string(request) + ": " + what});
}

}  // namespace zerobuffer
