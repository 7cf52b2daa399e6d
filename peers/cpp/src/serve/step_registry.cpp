#include "serve/step_registry.hpp"

#include <algorithm>
#include <charconv>
#include <regex>

#include "serve/check.hpp"

namespace zerobuffer::serve {

class Matcher {
public:
    explicit Matcher(const std::string& pattern) : regex_(pattern) {}

    bool match(const std::string& text, std::smatch& found) const {
        return std::regex_match(text, found, regex_);
    }

private:
    std::regex regex_;
};

namespace {

// The matcher calls itself for every letter of a text.
constexpr std::size_t kLongestStep = 4096;

bool has_type(const StepDefinition& definition, StepType type) {
    return std::find(definition.types.begin(), definition.types.end(), type) !=
           definition.types.end();
}

}  // namespace

std::uint64_t StepArguments::number(std::size_t index) const {
    const std::string& digits = text(index);
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    expect(error == std::errc{} && end == digits.data() + digits.size(),
           "'" + digits + "' is not a number that can be used");
    return value;
}

void StepRegistry::add(std::initializer_list<StepType> types, const std::string& phrase,
                       StepFunction run) {
    const std::string pattern = "^(?:(?:the|a|a new|a second) '([^']+)' process )?" + phrase + "$";
    definitions_.push_back({types, pattern, std::make_shared<const Matcher>(pattern), std::move(run)});
}

std::vector<FoundStep> StepRegistry::find_all(StepType type, const std::string& process,
                                              const std::string& text) const {
    std::vector<FoundStep> found;
    if (text.size() > kLongestStep) return found;
    for (const StepDefinition& definition : definitions_) {
        std::smatch match;
        if (!definition.matcher->match(text, match)) continue;
        FoundStep step{&definition, {match[1].matched ? match[1].str() : process, {}, {}, {}}};
        for (std::size_t i = 2; i < match.size(); ++i) step.arguments.words.push_back(match[i]);
        found.push_back(std::move(step));
    }
    std::stable_partition(found.begin(), found.end(), [type](const FoundStep& step) {
        return has_type(*step.definition, type);
    });
    return found;
}

}  // namespace zerobuffer::serve
