#include "serve/steps/all.hpp"

namespace zerobuffer::serve::steps {

StepRegistry all() {
    StepRegistry registry;
    add_basic(registry);
    add_duplex(registry);
    return registry;
}

}  // namespace zerobuffer::serve::steps
