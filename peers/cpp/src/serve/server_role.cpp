#include "serve/server_role.hpp"

#include <algorithm>
#include <condition_variable>

namespace zerobuffer::serve {

void HandlerRecord::begin(std::span<const std::byte> request) {
    Handled call{.begin = Clock::now(),
                 .request = Bytes(request.begin(), request.end()),
                 .request_at = request.data()};
    const std::lock_guard lock(mutex_);
    calls_.push_back(std::move(call));
}

void HandlerRecord::end(std::span<const std::byte> response) {
    const std::lock_guard lock(mutex_);
    Handled& call = calls_.back();
    call.end = Clock::now();
    call.response.assign(response.begin(), response.end());
    call.response_at = response.data();
}

void HandlerRecord::trouble(const ServerTrouble& trouble) {
    const std::lock_guard lock(mutex_);
    troubles_.push_back(trouble);
}

std::vector<Handled> HandlerRecord::calls() const {
    const std::lock_guard lock(mutex_);
    return calls_;
}

std::vector<ServerTrouble> HandlerRecord::troubles() const {
    const std::lock_guard lock(mutex_);
    return troubles_;
}

std::size_t HandlerRecord::finished() const {
    const std::lock_guard lock(mutex_);
    return static_cast<std::size_t>(std::count_if(
        calls_.begin(), calls_.end(), [](const Handled& call) { return call.end.has_value(); }));
}

void ServerRole::start(Answer answer, Log& log) {
    server_.start(
        [this, answer = std::move(answer)](std::span<const std::byte> request) {
            record_.begin(request);
            Bytes response = answer(request, stopping_.get_token());
            record_.end(response);
            return response;
        },
        [this, &log](const ServerTrouble& trouble) {
            record_.trouble(trouble);
            log.warn("channel: " + trouble.what);
        });
}

Audit ServerRole::audit() {
    stopping_.request_stop();
    server_.stop();
    return server_.audit();
}

void wait_unless_stopped(const std::stop_token& stop, Milliseconds time) {
    std::mutex mutex;
    std::condition_variable_any stopped;
    std::unique_lock lock(mutex);
    stopped.wait_for(lock, stop, time, [] { return false; });
}

}  // namespace zerobuffer::serve
