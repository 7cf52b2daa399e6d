#include "serve/world.hpp"

namespace zerobuffer::serve {

WriterRole::~WriterRole() {
    // A background write that waits for room ends when its writer is closed.
    if (background.joinable()) writer.close();
}

ServerRole::~ServerRole() { stopping.request_stop(); }

void World::clear() {
    clients.clear();
    writers.clear();
    servers.clear();
    readers.clear();
}

}  // namespace zerobuffer::serve
