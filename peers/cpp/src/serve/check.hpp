#pragma once
// How a step fails: with what it expected and what it found.

#include <sstream>
#include <stdexcept>
#include <string>

namespace zerobuffer::serve {

struct StepFailure : std::runtime_error {
    using std::runtime_error::runtime_error;
};

inline void expect(bool holds, const std::string& what) {
    if (!holds) throw StepFailure(what);
}

template <class Expected, class Found>
void expect_equal(const std::string& what, const Expected& expected, const Found& found) {
    if (expected == found) return;
    std::ostringstream text;
    text << what << ": expected " << expected << ", found " << found;
    throw StepFailure(text.str());
}

}  // namespace zerobuffer::serve
