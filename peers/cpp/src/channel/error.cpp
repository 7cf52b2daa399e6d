#include "channel/error.hpp"

#include <cerrno>

namespace zerobuffer {

void throw_errno(const std::string& buffer, const std::string& what, int code) {
    const std::string text = what + ": " + std::strerror(code);
    switch (code) {
        case EACCES:
        case EPERM:
            throw PermissionDenied(buffer, text);
        case ENOSPC:
        case EDQUOT:
        case ENOMEM:
            throw NoSpace(buffer, text);
        default:
            throw Io(buffer, what, code);
    }
}

}  // namespace zerobuffer
