#pragma once
// JSON-RPC requests and answers. Reading is generous, for orchestrators differ; writing is strict.

#include <optional>
#include <stdexcept>
#include <string>

#include <nlohmann/json.hpp>

#include "rpc/params.hpp"

namespace zerobuffer::rpc {

using nlohmann::json;

enum class ErrorCode {
    parse_error = -32700,
    invalid_request = -32600,
    method_not_found = -32601,
    invalid_params = -32602,
    // Of those that servers may give a meaning of their own.
    disorder = -32000,
};

// Becomes an error answer.
class RpcError : public std::runtime_error {
public:
    RpcError(ErrorCode code, const std::string& what, json id = nullptr)
        : std::runtime_error(what), code(code), id(std::move(id)) {}

    ErrorCode code;
    json id;
};

struct Request {
    std::optional<json> id;  // none: a notification, which is not answered
    std::string method;
    json params;
};

// Throws RpcError.
Request parse_request(const std::string& text);

json result_message(const json& id, json result);
json error_message(const RpcError& error);
// As UTF-8, whatever bytes a text in it holds.
std::string to_text(const json& message);

// From an object, or an array of one; keys in camelCase or PascalCase. Throw RpcError.
InitializeParams read_initialize(const json& params);
ExecuteStepParams read_execute_step(const json& params);

}  // namespace zerobuffer::rpc
