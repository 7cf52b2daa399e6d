#include "duplex/client.hpp"

#include <algorithm>
#include <cstring>
#include <thread>

#include "channel/error.hpp"

namespace zerobuffer {

DuplexClient DuplexClient::connect(const ChannelName& name, const DuplexClientOptions& options) {
    Writer requests = Writer::connect(
        name.request(), {options.connect_timeout, options.write_timeout, options.holdings});
    const BlockSizes sizes =
        options.sizes.value_or(BlockSizes{requests.metadata_size(), requests.payload_size()});
    Reader responses =
        Reader::create(name.response(), {sizes, Sequences::increasing, options.holdings});
    return DuplexClient(name, std::move(requests), std::move(responses));
}

std::uint64_t DuplexClient::send(std::span<const std::byte> data) {
    Loan request = loan(data.size());
    if (!data.empty()) std::memcpy(request.data().data(), data.data(), data.size());
    request.commit();
    return request.sequence();
}

Loan DuplexClient::loan(std::uint64_t size) {
    try {
        return requests_.loan(size);
    } catch (const ReaderDead&) {
        throw ServerDead(name_.text());
    }
}

std::optional<Frame> DuplexClient::receive(Milliseconds timeout) {
    if (!early_) early_ = read_response(timeout);
    if (!early_) return std::nullopt;
    const std::uint64_t sequence = early_->sequence();
    if (sequence < next_answer_ || sequence >= requests_.next_sequence()) {
        early_.reset();
        throw SequenceBroken(name_.response().text(), next_answer_, sequence);
    }
    if (sequence > next_answer_) throw HandlerFailed(name_.text(), next_answer_++);
    ++next_answer_;
    std::optional<Frame> answer = std::move(early_);
    early_.reset();
    return answer;
}

std::optional<Frame> DuplexClient::read_response(Milliseconds timeout) {
    const TimePoint deadline = deadline_after(timeout);
    for (;;) {
        const auto left =
            std::chrono::ceil<Milliseconds>(deadline - Clock::now());
        if (auto frame = read_own(std::clamp(left, Milliseconds{0}, kTick))) return frame;
        try {
            requests_.check_reader();
        } catch (const ReaderDead&) {
            // What it answered before it went is answered.
            if (auto frame = read_own(Milliseconds{0})) return frame;
            throw ServerDead(name_.text());
        }
        if (Clock::now() >= deadline) return std::nullopt;
    }
}

std::optional<Frame> DuplexClient::read_own(Milliseconds timeout) {
    try {
        return responses_.read(timeout);
    } catch (const WriterDead&) {
        throw ServerDead(name_.text());
    }
}

bool DuplexClient::wait_for_server(Milliseconds timeout) {
    const TimePoint deadline = deadline_after(timeout);
    while (!responses_.has_writer()) {
        if (Clock::now() >= deadline) return false;
        requests_.check_reader();
        std::this_thread::sleep_for(Milliseconds{1});
    }
    return true;
}

}  // namespace zerobuffer
