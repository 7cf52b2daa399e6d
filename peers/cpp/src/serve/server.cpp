#include "serve/server.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <system_error>
#include <utility>

namespace zerobuffer::serve {

namespace {

using rpc::ErrorCode;
using rpc::json;
using rpc::RpcError;

constexpr std::size_t kReadAtOnce = 64 * 1024;
// How long the end of a session waits for its threads.
constexpr Milliseconds kPatience{2000};

// What makes this run's buffers unlike those of others.
std::string run_id(const rpc::InitializeParams& params) {
    const char* pid = std::getenv("HARMONY_HOST_PID");
    const char* feature = std::getenv("HARMONY_FEATURE_ID");
    if (pid != nullptr && feature != nullptr && *pid != '\0' && *feature != '\0') {
        return std::string(pid) + "_" + feature;
    }
    if (params.host_pid != 0) {
        return std::to_string(params.host_pid) + "_" + std::to_string(params.feature_id);
    }
    return std::to_string(::getpid()) + "_" +
           std::to_string(Clock::now().time_since_epoch().count());
}

std::string seconds_text(Milliseconds time) {
    char text[32];
    std::snprintf(text, sizeof text, "%.1f s", static_cast<double>(time.count()) / 1000);
    return text;
}

json log_entries(Log& log) {
    json entries = json::array();
    for (LogEntry& entry : log.take()) {
        entries.push_back({{"timestamp", std::move(entry.timestamp)},
                           {"level", static_cast<int>(entry.level)},
                           {"message", std::move(entry.message)}});
    }
    return entries;
}

// False when nobody reads any more.
bool write_all(int fd, std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t written = ::write(fd, bytes.data(), bytes.size());
        if (written >= 0) {
            bytes.remove_prefix(static_cast<std::size_t>(written));
        } else if (errno == EAGAIN) {
            pollfd output{fd, POLLOUT, 0};
            ::poll(&output, 1, -1);
        } else if (errno != EINTR) {
            return false;
        }
    }
    return true;
}

}  // namespace

Server::Server(const StepRegistry& registry, Log& log, ServerOptions options)
    : registry_(registry),
      log_(log),
      options_(options),
      wake_(std::make_shared<Descriptor>(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK))),
      run_(run_id({})) {
    if (!*wake_) throw std::system_error(errno, std::generic_category(), "eventfd");
}

int Server::run() {
    while (!status_) wait_for_something();
    queue_.clear();
    running_.reset();
    end_session("");
    return *status_;
}

void Server::wait_for_something() {
    std::array<pollfd, 3> ready{pollfd{options_.input, POLLIN, 0},
                                pollfd{wake_->get(), POLLIN, 0},
                                pollfd{options_.signals, POLLIN, 0}};
    int timeout = -1;
    if (running_) {
        const auto left = running_->started + options_.step_timeout - Clock::now();
        const auto whole = std::chrono::ceil<Milliseconds>(left).count();
        timeout = static_cast<int>(std::clamp<std::int64_t>(whole, 0, 60'000));
    }
    if (::poll(ready.data(), ready.size(), timeout) < 0) return;
    if (ready[2].revents != 0) handle_signal();
    if (ready[1].revents != 0) finish_step();
    if (ready[0].revents != 0) read_input();
    check_step_time();
}

void Server::handle_signal() {
    signalfd_siginfo signal{};
    if (::read(options_.signals, &signal, sizeof signal) != sizeof signal) return;
    log_.warn("ended by signal " + std::to_string(signal.ssi_signo));
    finish(128 + static_cast<int>(signal.ssi_signo));
}

void Server::read_input() {
    std::array<char, kReadAtOnce> chunk;
    const ssize_t size = ::read(options_.input, chunk.data(), chunk.size());
    if (size < 0 && (errno == EINTR || errno == EAGAIN)) return;
    if (size <= 0) {
        const bool cut_off = decoder_.in_a_frame();
        if (cut_off) {
            log_.error("the input ended within a frame");
            send(rpc::error_message({ErrorCode::parse_error, "the input ended within a frame"}));
        }
        finish(cut_off || size < 0 ? 1 : 0);
        return;
    }
    decoder_.feed({chunk.data(), static_cast<std::size_t>(size)});
    while (!status_) {
        const auto incoming = decoder_.next();
        if (!incoming) return;
        if (const auto* body = std::get_if<rpc::Body>(&*incoming)) {
            handle_body(body->text);
        } else {
            const std::string& reason = std::get<rpc::BadFrame>(*incoming).reason;
            log_.warn("not a frame: " + reason);
            send(rpc::error_message({ErrorCode::parse_error, reason}));
        }
    }
}

void Server::handle_body(const std::string& text) {
    std::optional<json> id;
    try {
        const rpc::Request request = rpc::parse_request(text);
        id = request.id;
        if (request.method == "executeStep") {
            queue_.push_back({request.id.value_or(nullptr), request.id.has_value(),
                              rpc::read_execute_step(request.params)});
            start_next_step();
            return;
        }
        json result = call(request.method, request.params);
        if (id) send(rpc::result_message(*id, std::move(result)));
        if (request.method == "crash") ::kill(::getpid(), SIGKILL);
        if (request.method == "shutdown") finish(0);
    } catch (RpcError& error) {
        log_.warn(std::string("answered with an error: ") + error.what());
        const bool is_request =
            error.code != ErrorCode::parse_error && error.code != ErrorCode::invalid_request;
        if (is_request && !id) return;
        if (id) error.id = *id;
        send(rpc::error_message(error));
    }
}

json Server::call(const std::string& method, const json& params) {
    if (method == "health") return true;
    if (method == "discover") return discover();
    if (method == "initialize") {
        initialize(params);
        return true;
    }
    if (method == "cleanup") {
        const std::string disorder = end_session("cleanup was called meanwhile");
        stuck_ = false;
        if (!disorder.empty()) throw RpcError(ErrorCode::disorder, disorder);
        return nullptr;
    }
    if (method == "shutdown" || method == "crash") return nullptr;
    throw RpcError(ErrorCode::method_not_found, "no method '" + method.substr(0, 80) + "'");
}

void Server::initialize(const json& params) {
    const auto read = rpc::read_initialize(params);
    const std::string disorder = end_session("initialize was called meanwhile");
    stuck_ = false;
    run_ = run_id(read);
    log_.take();
    if (!disorder.empty()) log_.error(disorder);
    log_.info("role '" + read.role + "' of '" + read.scenario + "', run " + run_);
}

json Server::discover() const {
    json steps = json::array();
    for (const StepDefinition& definition : registry_.definitions()) {
        for (const StepType type : definition.types) {
            steps.push_back({{"type", rpc::to_string(type)}, {"pattern", definition.pattern}});
        }
    }
    return {{"steps", std::move(steps)}};
}

void Server::start_next_step() {
    if (stuck_) refuse_queued("refused: an earlier step hangs; call initialize or cleanup first");
    if (running_ || queue_.empty()) return;
    if (!session_) {
        session_ = std::make_unique<Session>(registry_, log_, run_, [wake = wake_] {
            const std::uint64_t one = 1;
            static_cast<void>(!::write(wake->get(), &one, sizeof one));
        });
    }
    running_ = Running{std::move(queue_.front()), Clock::now()};
    queue_.pop_front();
    session_->execute(running_->step.params);
}

void Server::finish_step() {
    std::uint64_t count = 0;
    static_cast<void>(!::read(wake_->get(), &count, sizeof count));
    if (!running_ || !session_) return;
    const auto result = session_->take_result();
    if (!result) return;
    answer_step(std::exchange(running_, std::nullopt)->step, *result);
    start_next_step();
}

void Server::check_step_time() {
    if (!running_) return;
    const auto elapsed =
        std::chrono::duration_cast<Milliseconds>(Clock::now() - running_->started);
    if (elapsed < options_.step_timeout) return;
    const Step step = std::exchange(running_, std::nullopt)->step;
    session_->abandon();
    session_.reset();
    stuck_ = true;
    left_a_thread_ = true;
    answer_step(step, {"Step execution timeout after " + seconds_text(elapsed) + ": " +
                       step.params.step});
    start_next_step();
}

// Ends the scenario; a step that runs, and steps that wait, are answered with `why`. Tells what was
// not in order in the scenario's buffers, unless they were closed to interrupt a step, or because the
// process ends.
std::string Server::end_session(const std::string& why) {
    const bool was_running = running_.has_value();
    if (was_running) {
        answer_step(std::exchange(running_, std::nullopt)->step, {"abandoned: " + why});
    }
    refuse_queued("refused: " + why);
    if (!session_) return {};
    // A step that runs is told by what it waits on being closed.
    if (was_running || status_) session_->abandon();
    const bool has_ended = session_->end(kPatience);
    if (!has_ended) {
        left_a_thread_ = true;
        log_.warn("a thread of the scenario does not end; what it held has been released");
    }
    std::vector<std::string> disorders = session_->take_disorders();
    // A step that was interrupted has told of it.
    if (!has_ended && !was_running && !status_) {
        disorders.push_back("the scenario did not end in time, and not all its buffers were checked");
    }
    std::string told;
    for (const std::string& disorder : disorders) {
        told += (told.empty() ? "not in order: " : "; ") + disorder;
    }
    session_.reset();
    return told;
}

void Server::refuse_queued(const std::string& why) {
    for (const Step& step : std::exchange(queue_, {})) answer_step(step, {why});
}

void Server::answer_step(const Step& step, const StepResult& result) {
    if (result.error) log_.error(*result.error);
    json answer{{"success", !result.error},
                {"error", result.error ? json(*result.error) : json()},
                {"context", json(result.context)},
                {"logs", log_entries(log_)}};
    if (step.answered) send(rpc::result_message(step.id, std::move(answer)));
}

void Server::send(const json& message) {
    if (write_all(options_.output, rpc::encode(rpc::to_text(message)))) return;
    log_.error("nobody reads the answers any more");
    finish(1);
}

void Server::finish(int status) {
    if (!status_) status_ = status;
}

}  // namespace zerobuffer::serve
