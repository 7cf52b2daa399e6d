#include "serve/session.hpp"

#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>

#include "serve/world.hpp"

namespace zerobuffer::serve {

// Shared with the thread, which may outlive the session.
struct Session::State {
    std::shared_ptr<Holdings> holdings = std::make_shared<Holdings>();
    std::mutex mutex;
    std::condition_variable changed;
    std::optional<rpc::ExecuteStepParams> step;
    std::optional<StepResult> result;
    std::function<void()> finished;
    std::vector<std::string> disorders;
    bool ending = false;
    bool ended = false;

    void serve(const StepRegistry& registry, World& world);
};

void Session::State::serve(const StepRegistry& registry, World& world) {
    std::unique_lock lock(mutex);
    for (;;) {
        changed.wait(lock, [this] { return ending || step; });
        if (ending) return;
        const auto next = *std::exchange(step, std::nullopt);
        lock.unlock();
        StepResult done = run_step(registry, world, next);
        lock.lock();
        if (ending) return;
        result = std::move(done);
        finished();
    }
}

Session::Session(const StepRegistry& registry, Log& log, std::string run,
                 std::function<void()> finished)
    : state_(std::make_shared<State>()) {
    state_->finished = std::move(finished);
    std::thread([state = state_, &registry, &log, run = std::move(run)] {
        {
            World world(run, state->holdings, log);
            state->serve(registry, world);
            world.end([&state](std::string disorder) {
                const std::lock_guard lock(state->mutex);
                state->disorders.push_back(std::move(disorder));
            });
        }
        const std::lock_guard lock(state->mutex);
        state->ended = true;
        state->changed.notify_all();
    }).detach();
}

Session::~Session() { abandon(); }

void Session::execute(rpc::ExecuteStepParams step) {
    const std::lock_guard lock(state_->mutex);
    state_->step = std::move(step);
    state_->changed.notify_all();
}

std::optional<StepResult> Session::take_result() {
    const std::lock_guard lock(state_->mutex);
    return std::exchange(state_->result, std::nullopt);
}

std::vector<std::string> Session::take_disorders() {
    const std::lock_guard lock(state_->mutex);
    return std::exchange(state_->disorders, {});
}

bool Session::end(Milliseconds patience) {
    {
        std::unique_lock lock(state_->mutex);
        state_->ending = true;
        state_->changed.notify_all();
        if (state_->changed.wait_for(lock, patience, [this] { return state_->ended; })) return true;
    }
    abandon();
    return false;
}

void Session::abandon() noexcept {
    {
        const std::lock_guard lock(state_->mutex);
        state_->ending = true;
        state_->changed.notify_all();
    }
    state_->holdings->close_all();
}

namespace {

StepError try_step(World& world, const rpc::ExecuteStepParams& step, FoundStep found) {
    found.arguments.parameters = step.parameters;
    found.arguments.context = step.context;
    try {
        world.log().debug("step: " + step.step);
        found.definition->run(world, found.arguments);
        return std::nullopt;
    } catch (const std::exception& error) {
        return "step '" + step.step + "' failed: " + error.what();
    } catch (...) {
        return "step '" + step.step + "' failed, and does not say why";
    }
}

}  // namespace

StepResult run_step(const StepRegistry& registry, World& world,
                    const rpc::ExecuteStepParams& step) {
    const auto found = registry.find_all(step.type, step.process, step.step);
    if (found.empty()) {
        return {"No matching step definition found for: " + step.step.substr(0, 200)};
    }
    StepError error = try_step(world, step, found.front());
    return {std::move(error), world.take_told()};
}

}  // namespace zerobuffer::serve
