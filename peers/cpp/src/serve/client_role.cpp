#include "serve/client_role.hpp"

#include <string>
#include <utility>

#include "serve/allocation_count.hpp"
#include "serve/check.hpp"

namespace zerobuffer::serve {

namespace {

constexpr Milliseconds kReceiveTimeout{10000};
// How long an answer that must not come is waited for.
constexpr Milliseconds kNothingMore{50};

}  // namespace

void ClientRole::send(Bytes data) {
    if (sent_.empty()) first_sent_ = Clock::now();
    const std::uint64_t sequence = client_.send(data);
    note_sent(sequence, std::move(data));
}

void ClientRole::send_pattern(std::uint64_t size) {
    acquire(size);
    fill();
    commit();
}

void ClientRole::acquire(std::uint64_t size) {
    loan_.reset();
    const AllocationCount count;
    loan_ = client_.loan(size);
    allocations_ = count.since();
}

void ClientRole::fill() {
    expect(loan_.has_value(), "no request buffer has been acquired");
    const AllocationCount count;
    fill_pattern(loan_->data(), loan_->sequence());
    *allocations_ += count.since();
}

void ClientRole::commit() {
    expect(loan_.has_value(), "no request buffer has been acquired");
    Bytes data(loan_->data().begin(), loan_->data().end());
    if (sent_.empty()) first_sent_ = Clock::now();
    const AllocationCount count;
    loan_->commit();
    *allocations_ += count.since();
    note_sent(loan_->sequence(), std::move(data));
    loan_.reset();
}

std::uint64_t ClientRole::allocations_while_sending() const {
    expect(allocations_ && !loan_, "no request has been acquired and committed");
    return *allocations_;
}

const FrameRecord& ClientRole::receive_one() {
    const auto answer = client_.receive(kReceiveTimeout);
    expect(answer.has_value(), "expected response number " + std::to_string(answers_.size() + 1) +
                                   ", found none within " +
                                   std::to_string(kReceiveTimeout.count()) + " ms");
    note_answer(*answer);
    return answers_.back();
}

void ClientRole::expect_nothing_more() {
    const auto answer = client_.receive(kNothingMore);
    expect(!answer, "expected no further response, found one with number " +
                        (answer ? std::to_string(answer->sequence()) : std::string()));
}

const Bytes& ClientRole::request_of(const FrameRecord& answer) const {
    const auto request = sent_.find(answer.sequence);
    expect(request != sent_.end(), "response " + std::to_string(answer.sequence) +
                                       ": expected a request with this number, found none");
    return request->second;
}

void ClientRole::expect_echo(const FrameRecord& answer) const {
    expect_bytes("response " + std::to_string(answer.sequence), request_of(answer), answer.data);
}

const FrameRecord& ClientRole::last_answer() const {
    expect(!answers_.empty(), "no response has been received yet");
    return answers_.back();
}

void ClientRole::note_answer(const Frame& frame) {
    answers_.push_back({frame.sequence(), Bytes(frame.data().begin(), frame.data().end())});
}

void ClientRole::note_sent(std::uint64_t sequence, Bytes data) {
    sent_.emplace(sequence, std::move(data));
}

}  // namespace zerobuffer::serve
