#include "channel/name.hpp"

#include "channel/error.hpp"

namespace zerobuffer {

namespace {

// NAME_MAX is 255, and the longest file name is "sem.sem-w-" and the buffer's name.
constexpr std::size_t kLongestName = 245;

std::string checked(std::string name) {
    if (name.empty()) throw InvalidName(name, "a name must not be empty");
    if (name == "." || name == "..") throw InvalidName(name, "not a name");
    if (name.find('/') != std::string::npos) throw InvalidName(name, "'/' in a name");
    if (name.find('\0') != std::string::npos) throw InvalidName(name.c_str(), "NUL in a name");
    if (name.size() > kLongestName) {
        throw InvalidName(name, "a name has at most " + std::to_string(kLongestName) +
                                    " bytes, this one has " + std::to_string(name.size()));
    }
    return name;
}

}  // namespace

BufferName::BufferName(std::string name) : name_(checked(std::move(name))) {}

std::string semaphore_path(const std::string& semaphore) {
    return "/dev/shm/sem." + semaphore.substr(1);
}

ChannelName::ChannelName(const std::string& name)
    : name_(checked(name)), request_(name + "_request"), response_(name + "_response") {}

}  // namespace zerobuffer
