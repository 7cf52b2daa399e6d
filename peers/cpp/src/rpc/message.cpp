#include "rpc/message.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdint>

namespace zerobuffer::rpc {

namespace {

constexpr std::size_t kDeepestNesting = 100;

// Whether a text nests deeper than any request does. A tree of millions of levels would cost
// far more memory than its text.
bool nests_too_deep(std::string_view text) {
    std::size_t depth = 0;
    bool in_string = false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (in_string) {
            if (c == '\\') ++i;
            if (c == '"') in_string = false;
            continue;
        }
        if (c == '"') in_string = true;
        if (c == '[' || c == '{') ++depth;
        if ((c == ']' || c == '}') && depth > 0) --depth;
        if (depth > kDeepestNesting) return true;
    }
    return false;
}

[[noreturn]] void bad_params(const std::string& what) {
    throw RpcError(ErrorCode::invalid_params, "params: " + what);
}

const json& as_object(const json& params) {
    static const json empty = json::object();
    if (params.is_null()) return empty;
    if (params.is_object()) return params;
    if (params.is_array() && params.empty()) return empty;
    if (params.is_array() && params.size() == 1 && params[0].is_object()) return params[0];
    bad_params("expected one object, or an array of one object");
}

// The value of a key, in camelCase or PascalCase; null where there is none.
const json& value_of(const json& object, std::string key) {
    static const json null;
    auto found = object.find(key);
    if (found == object.end()) {
        key[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(key[0])));
        found = object.find(key);
    }
    return found == object.end() ? null : *found;
}

std::string text_of(const json& object, const std::string& key) {
    const json& value = value_of(object, key);
    if (value.is_null()) return {};
    if (!value.is_string()) bad_params("'" + key + "' is not a text");
    return value.get<std::string>();
}

std::int64_t integer_of(const json& object, const std::string& key) {
    const json& value = value_of(object, key);
    if (value.is_null()) return 0;
    if (!value.is_number_integer()) bad_params("'" + key + "' is not an integer");
    return value.get<std::int64_t>();
}

StringMap map_of(const json& object, const std::string& key) {
    const json& value = value_of(object, key);
    if (value.is_null()) return {};
    if (!value.is_object()) bad_params("'" + key + "' is not an object");
    StringMap map;
    for (const auto& [name, item] : value.items()) {
        map[name] = item.is_string() ? item.get<std::string>()
                    : item.is_null() ? std::string()
                                     : to_text(item);
    }
    return map;
}

StepType step_type_of(const json& object) {
    const json& value = value_of(object, "stepType");
    constexpr std::array types{StepType::given, StepType::when, StepType::then};
    if (value.is_number_unsigned() && value.get<std::uint64_t>() < types.size()) {
        return types[value.get<std::size_t>()];
    }
    if (value.is_string()) {
        auto word = value.get<std::string>();
        std::transform(word.begin(), word.end(), word.begin(),
                       [](unsigned char c) { return std::tolower(c); });
        for (const StepType type : types) {
            if (word == to_string(type)) return type;
        }
    }
    bad_params("'stepType' is " + to_text(value) +
               ", expected \"Given\", \"When\", \"Then\", 0, 1 or 2");
}

}  // namespace

Request parse_request(const std::string& text) {
    if (nests_too_deep(text)) throw RpcError(ErrorCode::parse_error, "nested too deep");
    json message = json::parse(text, nullptr, false);
    if (message.is_discarded()) throw RpcError(ErrorCode::parse_error, "not JSON");
    if (!message.is_object()) throw RpcError(ErrorCode::invalid_request, "not a request object");
    Request request;
    if (const auto id = message.find("id"); id != message.end()) {
        if (!id->is_string() && !id->is_number() && !id->is_null()) {
            throw RpcError(ErrorCode::invalid_request, "an id is a text, a number or null");
        }
        request.id = *id;
    }
    const auto method = message.find("method");
    if (method == message.end() || !method->is_string()) {
        throw RpcError(ErrorCode::invalid_request, "no method", request.id.value_or(nullptr));
    }
    request.method = method->get<std::string>();
    if (const auto params = message.find("params"); params != message.end()) {
        request.params = std::move(*params);
    }
    return request;
}

json result_message(const json& id, json result) {
    return {{"jsonrpc", "2.0"}, {"id", id}, {"result", std::move(result)}};
}

json error_message(const RpcError& error) {
    return {{"jsonrpc", "2.0"},
            {"id", error.id},
            {"error", {{"code", static_cast<int>(error.code)}, {"message", error.what()}}}};
}

std::string to_text(const json& message) {
    return message.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::string_view to_string(StepType type) {
    switch (type) {
        case StepType::given:
            return "given";
        case StepType::when:
            return "when";
        case StepType::then:
            return "then";
    }
    return "";
}

InitializeParams read_initialize(const json& params) {
    const json& object = as_object(params);
    return {text_of(object, "role"), text_of(object, "platform"), text_of(object, "scenario"),
            integer_of(object, "hostPid"), integer_of(object, "featureId")};
}

ExecuteStepParams read_execute_step(const json& params) {
    const json& object = as_object(params);
    ExecuteStepParams read{text_of(object, "process"), step_type_of(object),
                           text_of(object, "step"), map_of(object, "parameters"),
                           map_of(object, "context")};
    if (value_of(object, "step").is_null()) bad_params("'step' is missing");
    return read;
}

}  // namespace zerobuffer::rpc
