#pragma once
// One scenario's World and the thread its steps run on.

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "channel/clock.hpp"
#include "channel/holdings.hpp"
#include "rpc/params.hpp"
#include "serve/log.hpp"
#include "serve/step_registry.hpp"

namespace zerobuffer::serve {

// Nothing: the step did, or found, what its text says.
using StepError = std::optional<std::string>;

struct StepResult {
    StepError error{};
    // What the step tells later ones.
    rpc::StringMap context{};
};

// Registry and log must outlive the thread, also when it is abandoned.
class Session {
public:
    // `finished` is called on the session's thread when a step has ended, unless the session has
    // been abandoned.
    Session(const StepRegistry& registry, Log& log, std::string run,
            std::function<void()> finished);
    // Abandons what has not been ended.
    ~Session();

    // One at a time: the next after take_result().
    void execute(rpc::ExecuteStepParams step);
    std::optional<StepResult> take_result();

    // Ends the thread and everything in its World; false, and abandoned, when a step hangs.
    bool end(Milliseconds patience);
    // What was not in order in the buffers that were read here, as far as they have been looked at.
    std::vector<std::string> take_disorders();
    // Leaves the thread to itself, and releases what it holds of the system.
    void abandon() noexcept;

private:
    struct State;

    std::shared_ptr<State> state_;
};

// Runs the step; for the session's thread.
StepResult run_step(const StepRegistry& registry, World& world, const rpc::ExecuteStepParams& step);

}  // namespace zerobuffer::serve
