#pragma once
// A channel's client in the scenario: what it asked, and what it was answered.

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "channel/clock.hpp"
#include "channel/name.hpp"
#include "duplex/client.hpp"
#include "serve/attempt.hpp"
#include "serve/death_watch.hpp"
#include "serve/reader_role.hpp"

namespace zerobuffer::serve {

class ClientRole {
public:
    ClientRole(const ChannelName& name, DuplexClient client)
        : name_(name), client_(std::move(client)) {}

    const ChannelName& name() const noexcept { return name_; }
    DuplexClient& client() noexcept { return client_; }

    void send(Bytes data);
    // Byte i is i + the request's number.
    void send_pattern(std::uint64_t size);

    // A request filled in place, and the allocations of its way: from before it is acquired to
    // after it is sent.
    void acquire(std::uint64_t size);
    void fill();
    void commit();
    std::uint64_t allocations_while_sending() const;

    // Throws StepFailure when none comes in time.
    const FrameRecord& receive_one();
    void expect_nothing_more();
    // Throw StepFailure; the request is the one with the answer's number.
    const Bytes& request_of(const FrameRecord& answer) const;
    void expect_echo(const FrameRecord& answer) const;
    const FrameRecord& last_answer() const;

    const std::map<std::uint64_t, Bytes>& sent() const noexcept { return sent_; }
    const std::vector<FrameRecord>& answers() const noexcept { return answers_; }
    // Notes an answer that was received otherwise.
    void note_answer(const Frame& frame);
    TimePoint first_sent() const noexcept { return first_sent_; }

    std::optional<Milliseconds> total_time{};
    // How many answers there were when a step began that a later one judges.
    std::size_t answered_before = 0;
    // Of the server that was there when the client connected, and from when a response began to be
    // waited for.
    std::uint64_t server_pid = 0;
    std::optional<DeathWatch> servers_end{};

private:
    void note_sent(std::uint64_t sequence, Bytes data);

    ChannelName name_;
    DuplexClient client_;
    std::map<std::uint64_t, Bytes> sent_{};
    std::vector<FrameRecord> answers_{};
    TimePoint first_sent_{};
    std::optional<Loan> loan_{};
    std::optional<std::uint64_t> allocations_{};
};

}  // namespace zerobuffer::serve
