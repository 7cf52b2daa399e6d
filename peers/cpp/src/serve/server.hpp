#pragma once
// The step server: JSON-RPC on a pair of descriptors. One thread does it all but the steps, so it
// answers while a step hangs.

#include <csignal>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "channel/clock.hpp"
#include "channel/file.hpp"
#include "rpc/framing.hpp"
#include "rpc/message.hpp"
#include "serve/log.hpp"
#include "serve/session.hpp"
#include "serve/step_registry.hpp"

namespace zerobuffer::serve {

struct ServerOptions {
    int input = 0;
    int output = 1;
    int signals = -1;  // a signalfd of the signals that end the server; none if negative
    Milliseconds step_timeout{30000};
};

class Server {
public:
    Server(const StepRegistry& registry, Log& log, ServerOptions options);

    // Until the input ends, a shutdown or a signal; returns the exit status. Everything is
    // released by then.
    int run();
    // Whether a thread of a hanging step is left, so that the process has to be ended under it.
    bool left_a_thread() const noexcept { return left_a_thread_; }

private:
    struct Step {
        rpc::json id;
        bool answered;  // false for notifications
        rpc::ExecuteStepParams params;
    };
    struct Running {
        Step step;
        TimePoint started;
    };

    void wait_for_something();
    void read_input();
    void handle_signal();
    void handle_body(const std::string& text);
    rpc::json call(const std::string& method, const rpc::json& params);
    void initialize(const rpc::json& params);
    rpc::json discover() const;

    void start_next_step();
    void finish_step();
    void check_step_time();
    std::string end_session(const std::string& why);
    void refuse_queued(const std::string& why);
    void answer_step(const Step& step, const StepResult& result);

    void send(const rpc::json& message);
    void finish(int status);

    const StepRegistry& registry_;
    Log& log_;
    ServerOptions options_;
    std::shared_ptr<Descriptor> wake_;  // an eventfd, also a session's to write to
    rpc::Decoder decoder_;
    std::string run_;
    std::unique_ptr<Session> session_;
    std::deque<Step> queue_;
    std::optional<Running> running_;
    bool stuck_ = false;  // a step timed out: none is run until initialize or cleanup
    bool left_a_thread_ = false;
    std::optional<int> status_;
};

}  // namespace zerobuffer::serve
