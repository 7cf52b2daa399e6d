#pragma once
// The parameters of the step-server methods.

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace zerobuffer::rpc {

enum class StepType { given, when, then };

std::string_view to_string(StepType type);

using StringMap = std::map<std::string, std::string>;

struct InitializeParams {
    std::string role;
    std::string platform;
    std::string scenario;
    std::int64_t host_pid = 0;
    std::int64_t feature_id = 0;
};

struct ExecuteStepParams {
    std::string process;
    StepType type = StepType::given;
    std::string step;
    StringMap parameters;
    StringMap context;
};

}  // namespace zerobuffer::rpc
