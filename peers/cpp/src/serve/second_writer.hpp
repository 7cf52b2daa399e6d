#pragma once
// A writer in a process of its own, that tries once to attach and goes: this program, started
// again with an argument that only it knows.

#include <string>

#include "channel/name.hpp"

namespace zerobuffer::serve {

inline constexpr const char* kAttachArgument = "--attach-once";

// What the process says of it: the error's class and text, or "connected".
std::string attach_in_another_process(const BufferName& name);

// What that process does; returns its exit status.
int attach_once(const char* buffer, int output);

}  // namespace zerobuffer::serve
