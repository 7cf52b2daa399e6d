#include "serve/steps/all.hpp"

namespace zerobuffer::serve::steps {

StepRegistry all() {
    StepRegistry registry;
    add_basic(registry);
    add_lifecycle(registry);
    add_errors(registry);
    add_edge_cases(registry);
    add_races(registry);
    add_corruption(registry);
    add_synchronization(registry);
    add_advanced_errors(registry);
    add_duplex_server(registry);
    add_duplex_client(registry);
    return registry;
}

}  // namespace zerobuffer::serve::steps
