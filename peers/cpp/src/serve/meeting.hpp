#pragma once
// A barrier for two processes that share nothing but the machine: both arrive before either goes on.

#include <cstdint>
#include <string>

#include "channel/clock.hpp"
#include "channel/name.hpp"

namespace zerobuffer::serve {

class Meeting {
public:
    // Both use the same name; the one that is first makes the file behind it.
    explicit Meeting(const BufferName& name);
    Meeting(const Meeting&) = delete;
    Meeting& operator=(const Meeting&) = delete;
    // Removes the file.
    ~Meeting();

    // Throws StepFailure when the other one does not come.
    void meet();
    // The file's path.
    static std::string path(const BufferName& name);

private:
    std::string path_;
    std::uint32_t* arrivals_ = nullptr;
    std::uint32_t met_ = 0;
};

}  // namespace zerobuffer::serve
