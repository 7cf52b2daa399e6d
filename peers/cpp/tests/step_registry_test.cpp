#include "serve/step_registry.hpp"

#include <filesystem>
#include <fstream>
#include <regex>
#include <sstream>

#include "serve/steps/all.hpp"
#include "test.hpp"

using namespace zerobuffer;
using namespace zerobuffer::serve;
using namespace zerobuffer::test;

namespace {

struct Line {
    StepType type;
    std::string text;
};

// Steps that no process executes: whoever runs the scenario kills, and waits, itself.
bool is_the_runners(const std::string& step) {
    static const std::regex theirs(
        "the '[^']+' process (is killed|is shutdown|crashes).*|wait for '\\d+' seconds");
    return std::regex_match(step, theirs);
}

// The steps of a feature file.
std::vector<Line> steps_of(const std::string& file) {
    std::ifstream input(std::string(FEATURES) + "/" + file);
    check(input.good(), "expected the feature file " + file);
    std::vector<Line> steps;
    StepType type = StepType::given;
    for (std::string line; std::getline(input, line);) {
        std::istringstream words(line);
        std::string keyword;
        words >> keyword;
        if (keyword == "Given") type = StepType::given;
        if (keyword == "When") type = StepType::when;
        if (keyword == "Then") type = StepType::then;
        const bool step =
            keyword == "Given" || keyword == "When" || keyword == "Then" || keyword == "And";
        std::string text;
        std::getline(words >> std::ws, text);
        if (step && !is_the_runners(text)) steps.push_back({type, text});
    }
    return steps;
}

}  // namespace

TEST(every_step_of_the_defined_features_means_one_definition) {
    const StepRegistry registry = steps::all();
    std::size_t count = 0;
    for (const char* file : {"01-Basic-Communication.feature", "02-Process-Lifecycle.feature",
                             "03-Error-Handling.feature", "04-Edge-Cases.feature",
                             "05-Corruption.feature", "06-Synchronization.feature",
                             "13-Duplex-Channel.feature"}) {
        for (const Line& line : steps_of(file)) {
            ++count;
            const auto found = registry.find_all(line.type, "", line.text);
            check(found.size() == 1,
                  std::to_string(found.size()) + " definitions for: " + line.text);
        }
    }
    check(count > 300, "expected more than " + std::to_string(count) + " steps");
}

TEST(no_step_of_any_feature_means_two_definitions) {
    const StepRegistry registry = steps::all();
    for (const auto& entry : std::filesystem::directory_iterator(FEATURES)) {
        for (const Line& line : steps_of(entry.path().filename())) {
            const auto found = registry.find_all(line.type, "", line.text);
            check(found.size() <= 1, std::to_string(found.size()) + " definitions for: " + line.text);
        }
    }
}

TEST(a_step_may_name_its_role_or_not) {
    const StepRegistry registry = steps::all();
    const auto named = registry.find_all(StepType::when, "x", "the 'writer' process connects to buffer 'b'");
    check_equal(1U, named.size());
    check_equal("writer", named[0].arguments.role);
    check_equal("b", named[0].arguments.text(0));
    const auto unnamed = registry.find_all(StepType::then, "reader", "connects to buffer 'b'");
    check_equal(1U, unnamed.size());
    check_equal("reader", unnamed[0].arguments.role);
}

TEST(a_role_is_named_in_several_ways) {
    const StepRegistry registry = steps::all();
    for (const char* article : {"the", "a", "a new", "a second"}) {
        const auto found = registry.find_all(
            StepType::when, "", std::string(article) + " 'r2' process connects to buffer 'b'");
        check_equal(1U, found.size());
        check_equal("r2", found[0].arguments.role);
    }
}

TEST(the_step_type_that_is_asked_for_comes_first) {
    StepRegistry registry;
    registry.add({StepType::given}, "does it", nullptr);
    registry.add({StepType::then}, "does it", nullptr);
    const auto first = [&](StepType type) {
        return registry.find_all(type, "", "does it").front().definition->types.front();
    };
    check(first(StepType::then) == StepType::then, "expected the Then");
    check(first(StepType::given) == StepType::given, "expected the Given");
    check(first(StepType::when) == StepType::given, "expected the first of the others");
}

TEST(texts_of_any_length_are_looked_at_safely) {
    const StepRegistry registry = steps::all();
    check(registry.find_all(StepType::when, "", "writes frame").empty(), "part of a phrase");
    const std::string endless = "connects to buffer '" + std::string(10'000'000, 'n') + "'";
    check(registry.find_all(StepType::when, "", endless).empty(), "a text without end");
}
