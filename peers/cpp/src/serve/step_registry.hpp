#pragma once
// The step definitions, and which of them a step's text means.

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <vector>

#include "rpc/params.hpp"

namespace zerobuffer::serve {

class World;
using rpc::StepType;

// What a step's text says beside its phrase.
struct StepArguments {
    // The role that the text names, else the one the step was sent to.
    std::string role;
    std::vector<std::string> words;
    // What came with the step: its table, and what earlier steps told.
    rpc::StringMap parameters{};
    rpc::StringMap context{};

    const std::string& text(std::size_t index) const { return words.at(index); }
    // Throws StepFailure when the number is too large.
    std::uint64_t number(std::size_t index) const;
};

using StepFunction = std::function<void(World&, const StepArguments&)>;

// A compiled pattern.
class Matcher;

struct StepDefinition {
    std::vector<StepType> types;
    std::string pattern;
    std::shared_ptr<const Matcher> matcher;
    StepFunction run;
};

struct FoundStep {
    const StepDefinition* definition;
    StepArguments arguments;
};

class StepRegistry {
public:
    // `phrase` is a regular expression for the text behind "the 'role' process " (or "a",
    // "a new", "a second"), which every step may begin with.
    void add(std::initializer_list<StepType> types, const std::string& phrase, StepFunction run);

    // All definitions that match, those of the type first; more than one is a defect.
    std::vector<FoundStep> find_all(StepType type, const std::string& process,
                                    const std::string& text) const;
    const std::vector<StepDefinition>& definitions() const noexcept { return definitions_; }

private:
    std::vector<StepDefinition> definitions_;
};

}  // namespace zerobuffer::serve
